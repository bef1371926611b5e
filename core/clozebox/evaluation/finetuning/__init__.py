"""What a pretrained model is worth to others: fine-tuning on labelled examples, and probing."""
