"""Following the feed: processes that share its shards, each page handled once in effect."""
