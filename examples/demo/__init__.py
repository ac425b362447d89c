"""The main job, shown: labelled documents in, a trained model, fields out of documents it has not seen."""
