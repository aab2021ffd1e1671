"""What a store that was restored has lost, and how it becomes the store again."""
