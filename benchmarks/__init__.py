"""Speed, memory and quality of this package's training beside what a user would pick instead."""
