"""What a run looked at: attention and gates, drawn with the sound."""
