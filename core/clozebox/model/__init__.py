"""What a prediction is made of: embedding, attention, encoder, heads, and what they cost."""

from clozebox.model.attention import Attention, AttentionKind
from clozebox.model.embedding import BertEmbedding, Embedding
from clozebox.model.encoder import BertEncoder, Encoder, LayerNormPlace
from clozebox.model.flops import FORWARD_AND_BACKWARD, encoder_flops, head_flops
from clozebox.model.heads import Pooler, TokenHead
from clozebox.model.initialise import initialise
from clozebox.model.self_attention import MultiHeadSelfAttention
from clozebox.model.transfer import to_device
from clozebox.model.varlen import Extents
from clozebox.model.weight_decay import parameter_groups

__all__ = [
    "FORWARD_AND_BACKWARD",
    "Attention",
    "AttentionKind",
    "BertEmbedding",
    "BertEncoder",
    "Embedding",
    "Encoder",
    "Extents",
    "LayerNormPlace",
    "MultiHeadSelfAttention",
    "Pooler",
    "TokenHead",
    "encoder_flops",
    "head_flops",
    "initialise",
    "parameter_groups",
    "to_device",
]
