/**
 * The same networks as a folder of diffusers: each tensor of the original layout under diffusers' name, with the values
 * of the original's. Nothing here is derived from the reader under test.
 */

/** @typedef {import('./layout.mjs').TensorSpec} TensorSpec @typedef {import('./layout.mjs').Arch} Arch */
import { completed } from './layout.mjs';

/**
 * A tensor to write: rows [firstRow, firstRow + shape[0]) of `source`.
 * @typedef {{ part: 'unet' | 'vae' | 'text_encoder', name: string, shape: number[], source: TensorSpec, firstRow: number }} FolderTensor
 */

/** @param {string} text @param {Record<string, string>} pairs */
function replaceStart(text, pairs) {
  for (const [from, to] of Object.entries(pairs)) if (text.startsWith(from)) return to + text.slice(from.length);
  throw new Error(`no name in diffusers for ${text}`);
}

const RESNET = {
  'in_layers.0.': 'norm1.',
  'in_layers.2.': 'conv1.',
  'emb_layers.1.': 'time_emb_proj.',
  'out_layers.0.': 'norm2.',
  'out_layers.3.': 'conv2.',
  'skip_connection.': 'conv_shortcut.',
};

/** @param {string} name below `model.diffusion_model.` @param {number} resBlocks of a level */
function unetName(name, resBlocks) {
  const [, side, number, part, rest] = /^(input|output|middle)_blocks?\.(\d+)(?:\.(\d+))?\.(.*)$/.exec(name) ?? [];
  if (side === undefined) {
    return replaceStart(name, {
      'time_embed.0.': 'time_embedding.linear_1.',
      'time_embed.2.': 'time_embedding.linear_2.',
      'label_emb.0.0.': 'add_embedding.linear_1.',
      'label_emb.0.2.': 'add_embedding.linear_2.',
      'out.0.': 'conv_norm_out.',
      'out.2.': 'conv_out.',
    });
  }
  const block = Number(number);
  const below = rest ?? '';
  if (side === 'middle') {
    if (block === 1) return `mid_block.attentions.0.${name.slice('middle_block.1.'.length)}`;
    return `mid_block.resnets.${block / 2}.${replaceStart(name.slice('middle_block.0.'.length), RESNET)}`;
  }
  if (side === 'input' && block === 0) return `conv_in.${below}`;
  const each = resBlocks + 1;
  const level = side === 'input' ? Math.floor((block - 1) / each) : Math.floor(block / each);
  const index = side === 'input' ? (block - 1) % each : block % each;
  const at = `${side === 'input' ? 'down' : 'up'}_blocks.${level}`;
  if (below.startsWith('op.')) return `${at}.downsamplers.0.conv.${below.slice(3)}`;
  if (below.startsWith('conv.')) return `${at}.upsamplers.0.${below}`;
  if (part === '0') return `${at}.resnets.${index}.${replaceStart(below, RESNET)}`;
  return `${at}.attentions.${index}.${below}`;
}

/** @param {string} name below `first_stage_model.` @param {number} levels */
function vaeName(name, levels) {
  if (/^(post_)?quant_conv\./.test(name)) return name;
  const [, side, below = ''] = /^(encoder|decoder)\.(.*)$/.exec(name) ?? [];
  const [, level, kind, index, rest] =
    /^(?:down|up)\.(\d+)\.(?:(block)\.(\d+)|downsample|upsample)\.(.*)$/.exec(below) ?? [];
  const way = side === 'encoder' ? 'down' : 'up';
  if (level !== undefined) {
    const place = side === 'encoder' ? Number(level) : levels - 1 - Number(level);
    if (kind === undefined) return `${side}.${way}_blocks.${place}.${way}samplers.0.${rest}`;
    return `${side}.${way}_blocks.${place}.resnets.${index}.${rest?.replace('nin_shortcut', 'conv_shortcut')}`;
  }
  return `${side}.${replaceStart(below, {
    'conv_in.': 'conv_in.',
    'norm_out.': 'conv_norm_out.',
    'conv_out.': 'conv_out.',
    'mid.block_1.': 'mid_block.resnets.0.',
    'mid.block_2.': 'mid_block.resnets.1.',
    'mid.attn_1.norm.': 'mid_block.attentions.0.group_norm.',
    'mid.attn_1.q.': 'mid_block.attentions.0.to_q.',
    'mid.attn_1.k.': 'mid_block.attentions.0.to_k.',
    'mid.attn_1.v.': 'mid_block.attentions.0.to_v.',
    'mid.attn_1.proj_out.': 'mid_block.attentions.0.to_out.0.',
  })}`;
}

/** @param {TensorSpec} source @param {number} layers of the folder's tower @returns {FolderTensor[]} */
function openClip(source, layers) {
  const name = source.name.slice('cond_stage_model.model.'.length);
  /** @param {string} as @param {number[]} [shape] @param {number} [firstRow] @returns {FolderTensor} */
  const tensor = (as, shape = source.shape, firstRow = 0) => ({
    part: 'text_encoder',
    name: `text_model.${as}`,
    shape,
    source,
    firstRow,
  });
  const [, layer, below = ''] = /^transformer\.resblocks\.(\d+)\.(.*)$/.exec(name) ?? [];
  if (layer === undefined) {
    if (name === 'positional_embedding') return [tensor('embeddings.position_embedding.weight')];
    if (name === 'token_embedding.weight') return [tensor('embeddings.token_embedding.weight')];
    if (name.startsWith('ln_final.')) return [tensor(`final_layer_norm.${name.slice('ln_final.'.length)}`)];
    return []; // the projection and the temperature, which a text encoder alone has not
  }
  if (Number(layer) >= layers) return [];
  const at = `encoder.layers.${layer}`;
  if (below.startsWith('attn.in_proj_')) {
    const [rows = 0, ...inner] = source.shape;
    return ['q', 'k', 'v'].map((k, i) =>
      tensor(`${at}.self_attn.${k}_proj.${below.slice('attn.in_proj_'.length)}`, [rows / 3, ...inner], (i * rows) / 3),
    );
  }
  const as = replaceStart(below, {
    'attn.out_proj.': 'self_attn.out_proj.',
    'ln_1.': 'layer_norm1.',
    'ln_2.': 'layer_norm2.',
    'mlp.c_fc.': 'mlp.fc1.',
    'mlp.c_proj.': 'mlp.fc2.',
  });
  return [tensor(`${at}.${as}`)];
}

/** Layers of the text tower that the folder has: of OpenCLIP's all but the last. @param {Arch} arch */
const towerLayers = ({ text }) => (text.layout === 'open' ? text.layers - 1 : text.layers);

/** @param {Arch} arch @param {TensorSpec[]} tensors of the original layout @returns {FolderTensor[]} */
export function folderTensors(arch, tensors) {
  const { resBlocks } = completed(arch);
  return tensors.flatMap((source) => {
    const { name, shape } = source;
    /** @param {'unet' | 'vae' | 'text_encoder'} part @param {string} as @param {number[]} [shaped] @returns {FolderTensor[]} */
    const whole = (part, as, shaped = shape) => [{ part, name: as, shape: shaped, source, firstRow: 0 }];
    if (name.startsWith('model.diffusion_model.'))
      return whole('unet', unetName(name.slice('model.diffusion_model.'.length), resBlocks));
    if (name.startsWith('first_stage_model.')) {
      const as = vaeName(name.slice('first_stage_model.'.length), arch.vaeMult.length);
      const isLinear = /attentions\.0\.to_.*weight$/.test(as);
      return whole('vae', as, isLinear ? shape.slice(0, 2) : shape);
    }
    if (arch.text.layout === 'open') return openClip(source, towerLayers(arch));
    return whole('text_encoder', name.slice('cond_stage_model.transformer.'.length));
  });
}

/** The folder's small files, by path. @param {Arch} arch @returns {Record<string, unknown>} */
export function folderConfigs(arch) {
  const { text, latent, further, heads, resBlocks, vaeBlocks, groups, vaeGroups, pooled, scheduler } = completed(arch);
  const isOpen = text.layout === 'open';
  const part = (/** @type {string} */ name) => [name.startsWith('CLIP') ? 'transformers' : 'diffusers', name];
  const widths = (/** @type {number} */ base, /** @type {number[]} */ mult) => mult.map((m) => base * m);
  const channels = widths(arch.channels, arch.mult);
  return {
    'model_index.json': {
      _class_name: 'StableDiffusionPipeline',
      scheduler: part('DDIMScheduler'),
      text_encoder: part('CLIPTextModel'),
      tokenizer: part('CLIPTokenizer'),
      unet: part('UNet2DConditionModel'),
      vae: part('AutoencoderKL'),
    },
    'unet/config.json': {
      _class_name: 'UNet2DConditionModel',
      // diffusers' name for the number of heads.
      attention_head_dim: arch.linearProjection || arch.heads !== undefined ? heads : 8,
      block_out_channels: channels,
      cross_attention_dim: arch.context,
      in_channels: latent + further,
      layers_per_block: resBlocks,
      out_channels: latent,
      use_linear_projection: arch.linearProjection,
      ...(groups === 32 ? {} : { norm_num_groups: groups }),
      ...(pooled ? { addition_embed_type: 'text', projection_class_embeddings_input_dim: text.width } : {}),
    },
    'vae/config.json': {
      _class_name: 'AutoencoderKL',
      block_out_channels: widths(arch.vae, arch.vaeMult),
      latent_channels: latent,
      ...(vaeBlocks === 2 ? {} : { layers_per_block: vaeBlocks }),
      ...(vaeGroups === 32 ? {} : { norm_num_groups: vaeGroups }),
      scaling_factor: 0.18215,
    },
    'text_encoder/config.json': {
      architectures: ['CLIPTextModel'],
      hidden_act: isOpen ? 'gelu' : 'quick_gelu',
      hidden_size: text.width,
      num_attention_heads: text.heads,
      num_hidden_layers: towerLayers(arch),
    },
    'scheduler/scheduler_config.json': {
      _class_name: 'DDIMScheduler',
      beta_end: 0.012,
      beta_schedule: 'scaled_linear',
      beta_start: 0.00085,
      num_train_timesteps: 1000,
      prediction_type: 'epsilon',
      trained_betas: null,
      ...scheduler,
    },
    'tokenizer/tokenizer_config.json': { bos_token: '<|startoftext|>', eos_token: '<|endoftext|>' },
    'tokenizer/special_tokens_map.json': {
      bos_token: '<|startoftext|>',
      eos_token: '<|endoftext|>',
      pad_token: isOpen ? '!' : '<|endoftext|>',
    },
  };
}
