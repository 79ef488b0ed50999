"""What outlives a step: caches and snapshots, packed, sent, fetched again and laid out."""
