"""BERT folders in Hugging Face's layout, in and out."""

from clozebox.model.hugging_face.read import Imported, read_folder
from clozebox.model.hugging_face.write import Exported, write_folder

__all__ = ["Exported", "Imported", "read_folder", "write_folder"]
