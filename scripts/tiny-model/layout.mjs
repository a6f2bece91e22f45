/**
 * Names and shapes of Stable Diffusion checkpoints in the original single-file layout, in the order in which
 * make-tiny-model writes them. `micro*` and `tiny*` are the same networks with small widths.
 */

/**
 * How a tensor's values are made from its draws (see values.mjs): weight = draw / sqrt(fan-in),
 * bias = 0.02 draw, gain = 1 + 0.05 draw, embedding = 0.5 draw.
 * @typedef {'weight' | 'bias' | 'gain' | 'embedding'} TensorKind
 * `draws`: the name that the values are drawn for, where it is another; `firstDraw`: the draw of the first element.
 * @typedef {{ name: string, shape: number[], kind: TensorKind, fanIn: number, elements: number, draws?: string,
 *   firstDraw?: number }} TensorSpec
 * @typedef {{ layout: 'hf' | 'open', width: number, layers: number, heads: number, ff: number, positions?: number }} TextTower
 * `heads`: of the UNet by level; `attention`: its levels with a transformer; `groups`: of norms; `pooled`: it embeds the pooled text;
 * `further`: its input channels after the latent's.
 * @typedef {{ channels: number, mult: number[], context: number, linearProjection: boolean, vae: number,
 *   vaeMult: number[], text: TextTower, latent?: number, resBlocks?: number, vaeBlocks?: number, attention?: number[],
 *   heads?: number[], groups?: number, vaeGroups?: number, pooled?: boolean, further?: number, scheduler?: Record<string, unknown> }} Arch
 */

const VOCABULARY = 49408;
const SD_MULT = [1, 2, 4, 4];

/** What Stable Diffusion 1.x and 2.x have, where an architecture does not say otherwise. @param {Arch} arch */
export function completed(arch) {
  return {
    latent: 4,
    resBlocks: 2,
    vaeBlocks: 2,
    // All levels but the deepest.
    attention: [0, 1, 2],
    heads: arch.mult.map((m) => (arch.linearProjection ? (arch.channels * m) / 64 : 8)),
    groups: 32,
    vaeGroups: 32,
    pooled: false,
    further: 0,
    scheduler: {},
    ...arch,
    text: { positions: 77, ...arch.text },
  };
}

/** @type {Record<string, Arch>} */
export const ARCHITECTURES = {
  sd1: {
    channels: 320,
    mult: SD_MULT,
    context: 768,
    linearProjection: false,
    vae: 128,
    vaeMult: SD_MULT,
    text: { layout: 'hf', width: 768, layers: 12, heads: 12, ff: 3072 },
  },
  sd2: {
    channels: 320,
    mult: SD_MULT,
    context: 1024,
    linearProjection: true,
    vae: 128,
    vaeMult: SD_MULT,
    text: { layout: 'open', width: 1024, layers: 24, heads: 16, ff: 4096 },
  },
  tiny1: {
    channels: 32,
    mult: SD_MULT,
    context: 32,
    linearProjection: false,
    vae: 32,
    vaeMult: SD_MULT,
    text: { layout: 'hf', width: 32, layers: 2, heads: 4, ff: 128 },
  },
  tiny2: {
    channels: 64,
    mult: SD_MULT,
    context: 64,
    linearProjection: true,
    vae: 32,
    vaeMult: SD_MULT,
    text: { layout: 'open', width: 64, layers: 3, heads: 1, ff: 256 },
  },
  // The micro multipliers differ from the originals' on purpose: code that assumes 1, 2, 4, 4 fails here.
  micro1: {
    channels: 32,
    mult: [1, 1, 2, 2],
    context: 32,
    linearProjection: false,
    vae: 32,
    vaeMult: [1, 1, 2, 2],
    text: { layout: 'hf', width: 32, layers: 2, heads: 4, ff: 128 },
  },
  micro2: {
    channels: 64,
    mult: [1, 1, 1, 1],
    context: 64,
    linearProjection: true,
    vae: 32,
    vaeMult: [1, 1, 2, 2],
    text: { layout: 'open', width: 64, layers: 3, heads: 1, ff: 256 },
  },
  // micro1 as an inpainting model and as one that edits a picture.
  'micro1-inpaint': {
    channels: 32,
    mult: [1, 1, 2, 2],
    context: 32,
    linearProjection: false,
    vae: 32,
    vaeMult: [1, 1, 2, 2],
    text: { layout: 'hf', width: 32, layers: 2, heads: 4, ff: 128 },
    further: 5,
  },
  'micro1-edit': {
    channels: 32,
    mult: [1, 1, 2, 2],
    context: 32,
    linearProjection: false,
    vae: 32,
    vaeMult: [1, 1, 2, 2],
    text: { layout: 'hf', width: 32, layers: 2, heads: 4, ff: 128 },
    further: 4,
  },
  // Built like the embedded model: other depths and widths, and the pooled text beside the timestep.
  'micro-pooled': {
    channels: 32,
    mult: [1, 2, 3],
    context: 64,
    linearProjection: false,
    vae: 32,
    vaeMult: [1, 3, 2, 2],
    text: { layout: 'hf', width: 64, layers: 2, heads: 4, ff: 256, positions: 24 },
    latent: 8,
    resBlocks: 1,
    vaeBlocks: 1,
    attention: [1, 2],
    heads: [0, 2, 3],
    groups: 8,
    vaeGroups: 4,
    pooled: true,
    scheduler: {
      prediction_type: 'v_prediction',
      rescale_betas_zero_snr: true,
      timestep_spacing: 'trailing',
    },
  },
};

/** Collects tensors; its methods are the layers that the networks below are wired from. */
class Layout {
  /** @type {TensorSpec[]} */
  tensors = [];

  /** @param {string} name @param {number[]} shape @param {TensorKind} kind */
  add(name, shape, kind = 'weight') {
    const product = (/** @type {number[]} */ dims) => dims.reduce((a, b) => a * b, 1);
    this.tensors.push({ name, shape, kind, fanIn: product(shape.slice(1)), elements: product(shape) });
  }

  /** @param {string} name @param {number} input @param {number} output */
  linear(name, input, output, bias = true) {
    this.add(`${name}.weight`, [output, input]);
    if (bias) this.add(`${name}.bias`, [output], 'bias');
  }

  /** @param {string} name @param {number} input @param {number} output @param {number} kernel */
  conv(name, input, output, kernel) {
    this.add(`${name}.weight`, [output, input, kernel, kernel]);
    this.add(`${name}.bias`, [output], 'bias');
  }

  /** @param {string} name @param {number} channels */
  norm(name, channels) {
    this.add(`${name}.weight`, [channels], 'gain');
    this.add(`${name}.bias`, [channels], 'bias');
  }
}

/** @param {Layout} w @param {string} at @param {number} input @param {number} output @param {number} embedding */
function resBlock(w, at, input, output, embedding) {
  w.norm(`${at}.in_layers.0`, input);
  w.conv(`${at}.in_layers.2`, input, output, 3);
  w.linear(`${at}.emb_layers.1`, embedding, output);
  w.norm(`${at}.out_layers.0`, output);
  w.conv(`${at}.out_layers.3`, output, output, 3);
  if (input !== output) w.conv(`${at}.skip_connection`, input, output, 1);
}

/** @param {Layout} w @param {string} at @param {number} channels @param {Arch} arch */
function transformer(w, at, channels, arch) {
  const projection = (/** @type {string} */ name) =>
    arch.linearProjection ? w.linear(name, channels, channels) : w.conv(name, channels, channels, 1);
  const block = `${at}.transformer_blocks.0`;
  w.norm(`${at}.norm`, channels);
  projection(`${at}.proj_in`);
  for (const [attention, keys] of /** @type {[string, number][]} */ ([
    ['attn1', channels],
    ['attn2', arch.context],
  ])) {
    w.linear(`${block}.${attention}.to_q`, channels, channels, false);
    w.linear(`${block}.${attention}.to_k`, keys, channels, false);
    w.linear(`${block}.${attention}.to_v`, keys, channels, false);
    w.linear(`${block}.${attention}.to_out.0`, channels, channels);
  }
  w.linear(`${block}.ff.net.0.proj`, channels, 8 * channels);
  w.linear(`${block}.ff.net.2`, 4 * channels, channels);
  for (const k of [1, 2, 3]) w.norm(`${block}.norm${k}`, channels);
  projection(`${at}.proj_out`);
}

/** Input blocks; returns the channels of each skip connection. @param {Layout} w @param {Arch} arch */
function unetDown(w, arch, /** @type {string} */ root) {
  const embedding = 4 * arch.channels;
  const skips = [arch.channels];
  let channels = arch.channels;
  let index = 1;
  const { latent, further, resBlocks, attention } = completed(arch);
  w.conv(`${root}.input_blocks.0.0`, latent + further, channels, 3);
  for (const [level, mult] of arch.mult.entries()) {
    for (let k = 0; k < resBlocks; k++) {
      resBlock(w, `${root}.input_blocks.${index}.0`, channels, arch.channels * mult, embedding);
      channels = arch.channels * mult;
      if (attention.includes(level)) transformer(w, `${root}.input_blocks.${index}.1`, channels, arch);
      skips.push(channels);
      index++;
    }
    if (level === arch.mult.length - 1) continue;
    w.conv(`${root}.input_blocks.${index}.0.op`, channels, channels, 3);
    skips.push(channels);
    index++;
  }
  return skips;
}

/** @param {Layout} w @param {Arch} arch */
function unet(w, arch) {
  const root = 'model.diffusion_model';
  const embedding = 4 * arch.channels;
  w.linear(`${root}.time_embed.0`, arch.channels, embedding);
  w.linear(`${root}.time_embed.2`, embedding, embedding);
  const { latent, resBlocks, attention: attentionLevels, pooled } = completed(arch);
  if (pooled) {
    w.linear(`${root}.label_emb.0.0`, arch.text.width, embedding);
    w.linear(`${root}.label_emb.0.2`, embedding, embedding);
  }
  const skips = unetDown(w, arch, root);
  let channels = arch.channels * (arch.mult.at(-1) ?? 1);
  resBlock(w, `${root}.middle_block.0`, channels, channels, embedding);
  transformer(w, `${root}.middle_block.1`, channels, arch);
  resBlock(w, `${root}.middle_block.2`, channels, channels, embedding);
  let index = 0;
  for (const [level, mult] of [...arch.mult.entries()].reverse()) {
    for (let k = 0; k <= resBlocks; k++) {
      const at = `${root}.output_blocks.${index}`;
      const attention = attentionLevels.includes(level);
      resBlock(w, `${at}.0`, channels + (skips.pop() ?? 0), arch.channels * mult, embedding);
      channels = arch.channels * mult;
      if (attention) transformer(w, `${at}.1`, channels, arch);
      if (level > 0 && k === resBlocks) w.conv(`${at}.${attention ? 2 : 1}.conv`, channels, channels, 3);
      index++;
    }
  }
  w.norm(`${root}.out.0`, channels);
  w.conv(`${root}.out.2`, channels, latent, 3);
}

/** @param {Layout} w @param {string} at @param {number} input @param {number} output */
function vaeRes(w, at, input, output) {
  w.norm(`${at}.norm1`, input);
  w.conv(`${at}.conv1`, input, output, 3);
  w.norm(`${at}.norm2`, output);
  w.conv(`${at}.conv2`, output, output, 3);
  if (input !== output) w.conv(`${at}.nin_shortcut`, input, output, 1);
}

/** @param {Layout} w @param {string} at @param {number} channels */
function vaeMiddle(w, at, channels) {
  vaeRes(w, `${at}.block_1`, channels, channels);
  w.norm(`${at}.attn_1.norm`, channels);
  for (const k of ['q', 'k', 'v', 'proj_out']) w.conv(`${at}.attn_1.${k}`, channels, channels, 1);
  vaeRes(w, `${at}.block_2`, channels, channels);
}

/** @param {Layout} w @param {Arch} arch */
function vae(w, arch) {
  const encoder = 'first_stage_model.encoder';
  const decoder = 'first_stage_model.decoder';
  const { latent, vaeBlocks } = completed(arch);
  let channels = arch.vae;
  w.conv(`${encoder}.conv_in`, 3, channels, 3);
  for (const [level, mult] of arch.vaeMult.entries()) {
    for (let k = 0; k < vaeBlocks; k++) {
      vaeRes(w, `${encoder}.down.${level}.block.${k}`, channels, arch.vae * mult);
      channels = arch.vae * mult;
    }
    if (level < 3) w.conv(`${encoder}.down.${level}.downsample.conv`, channels, channels, 3);
  }
  vaeMiddle(w, `${encoder}.mid`, channels);
  w.norm(`${encoder}.norm_out`, channels);
  w.conv(`${encoder}.conv_out`, channels, 2 * latent, 3);
  w.conv('first_stage_model.quant_conv', 2 * latent, 2 * latent, 1);
  w.conv('first_stage_model.post_quant_conv', latent, latent, 1);
  w.conv(`${decoder}.conv_in`, latent, channels, 3);
  vaeMiddle(w, `${decoder}.mid`, channels);
  for (const [level, mult] of [...arch.vaeMult.entries()].reverse()) {
    for (let k = 0; k <= vaeBlocks; k++) {
      vaeRes(w, `${decoder}.up.${level}.block.${k}`, channels, arch.vae * mult);
      channels = arch.vae * mult;
    }
    if (level > 0) w.conv(`${decoder}.up.${level}.upsample.conv`, channels, channels, 3);
  }
  w.norm(`${decoder}.norm_out`, channels);
  w.conv(`${decoder}.conv_out`, channels, 3, 3);
}

/** CLIP as Hugging Face's transformers names it (SD 1.x). @param {Layout} w @param {TextTower} text */
function clipHf(w, { width, layers, ff, positions = 77 }) {
  const root = 'cond_stage_model.transformer.text_model';
  w.add(`${root}.embeddings.token_embedding.weight`, [VOCABULARY, width], 'embedding');
  w.add(`${root}.embeddings.position_embedding.weight`, [positions, width], 'embedding');
  for (let layer = 0; layer < layers; layer++) {
    const at = `${root}.encoder.layers.${layer}`;
    for (const k of ['q', 'k', 'v']) w.linear(`${at}.self_attn.${k}_proj`, width, width);
    w.linear(`${at}.self_attn.out_proj`, width, width);
    w.norm(`${at}.layer_norm1`, width);
    w.norm(`${at}.layer_norm2`, width);
    w.linear(`${at}.mlp.fc1`, width, ff);
    w.linear(`${at}.mlp.fc2`, ff, width);
  }
  w.norm(`${root}.final_layer_norm`, width);
}

/** CLIP as OpenCLIP names it (SD 2.x). @param {Layout} w @param {TextTower} text */
function clipOpen(w, { width, layers, ff, positions = 77 }) {
  const root = 'cond_stage_model.model';
  w.add(`${root}.token_embedding.weight`, [VOCABULARY, width], 'embedding');
  w.add(`${root}.positional_embedding`, [positions, width], 'embedding');
  for (let layer = 0; layer < layers; layer++) {
    const at = `${root}.transformer.resblocks.${layer}`;
    w.add(`${at}.attn.in_proj_weight`, [3 * width, width]);
    w.add(`${at}.attn.in_proj_bias`, [3 * width], 'bias');
    w.linear(`${at}.attn.out_proj`, width, width);
    w.norm(`${at}.ln_1`, width);
    w.norm(`${at}.ln_2`, width);
    w.linear(`${at}.mlp.c_fc`, width, ff);
    w.linear(`${at}.mlp.c_proj`, ff, width);
  }
  w.norm(`${root}.ln_final`, width);
  w.add(`${root}.text_projection`, [width, width]);
  w.add(`${root}.logit_scale`, [1], 'gain');
}

/**
 * All tensors of an architecture, in file order.
 * @param {Arch} arch
 * @returns {TensorSpec[]}
 */
export function tensorsOf(arch) {
  const w = new Layout();
  unet(w, arch);
  vae(w, arch);
  (arch.text.layout === 'hf' ? clipHf : clipOpen)(w, arch.text);
  return w.tensors;
}

/**
 * What shapes cannot tell: the prediction type, and the heads of a text tower that has not 64 channels a head.
 * @param {Arch} arch
 * @returns {Record<string, string>}
 */
export function metadataOf(arch) {
  const { text, heads, groups, vaeGroups, scheduler } = completed(arch);
  const usual = text.width === 64 * text.heads;
  return {
    'modelspec.prediction_type': String(scheduler.prediction_type ?? 'epsilon'),
    ...(usual ? {} : { 'sdgen.text_heads': String(text.heads) }),
    ...(arch.heads === undefined ? {} : { 'sdgen.unet_heads': heads.join(',') }),
    ...(groups === 32 ? {} : { 'sdgen.unet_norm_groups': String(groups) }),
    ...(vaeGroups === 32 ? {} : { 'sdgen.vae_norm_groups': String(vaeGroups) }),
    ...(scheduler.rescale_betas_zero_snr === true ? { 'sdgen.zero_terminal_snr': 'true' } : {}),
  };
}
