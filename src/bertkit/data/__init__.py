"""Units to batches: documents, token store, sentence pairs, masking, task readers, encoding, batching."""
