"""What a fold is made of: digests by which kept states and rows of another fold are passed over."""
