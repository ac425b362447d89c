"""Demo of the main job: labelled documents in, a trained model, fields of unseen documents out."""
