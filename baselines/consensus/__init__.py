"""State augmentation with consensus over multipliers: the subject of this benchmark."""
