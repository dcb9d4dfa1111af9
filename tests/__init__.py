"""The lab's and the platform's specification."""
