"""Which of the changes from the baseline to the winner matter."""
