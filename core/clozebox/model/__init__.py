"""What a prediction is made of: embedding, attention, encoder, heads, and what they cost."""

from clozebox.model.attention import Attention, AttentionKind, MultiHeadSelfAttention
from clozebox.model.embedding import BertEmbedding, Embedding
from clozebox.model.encoder import BertEncoder, Encoder, LayerNormPlace
from clozebox.model.flops import encoder_flops, token_head_flops, training_flops
from clozebox.model.heads import Pooler, TokenHead
from clozebox.model.initialise import initialise

__all__ = [
    "Attention",
    "AttentionKind",
    "BertEmbedding",
    "BertEncoder",
    "Embedding",
    "Encoder",
    "LayerNormPlace",
    "MultiHeadSelfAttention",
    "Pooler",
    "TokenHead",
    "encoder_flops",
    "initialise",
    "token_head_flops",
    "training_flops",
]
