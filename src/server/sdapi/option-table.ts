import type { Options } from '../../context/options.js';

/**
 * What an option of the webui is here:
 * - `run`: one of our own options, by our name;
 * - `server`: read where a request is answered: format, grid, previews, model;
 * - `inert`: a matter of the webui's page or files that changes nothing of an answer; kept and shown;
 * - `fixed`: not built; only its default is accepted.
 */
export type OptionUse =
  | { readonly kind: 'run'; readonly name: keyof Options }
  | { readonly kind: 'server' | 'inert' | 'fixed' };

export type OptionValue = string | number | boolean | null;

export interface OptionRow {
  readonly key: string;
  readonly standard: OptionValue;
  readonly use: OptionUse;
  /** The values that it may have, where they are few. */
  readonly choices?: readonly OptionValue[];
}

const run = (key: string, standard: OptionValue, name: keyof Options): OptionRow => ({
  key,
  standard,
  use: { kind: 'run', name },
});
const row =
  (kind: 'server' | 'inert' | 'fixed') =>
  (key: string, standard: OptionValue, choices?: OptionValue[]): OptionRow =>
    choices === undefined ? { key, standard, use: { kind } } : { key, standard, use: { kind }, choices };
const server = row('server');
const inert = row('inert');
const fixed = row('fixed');

/** The webui's options that clients touch, with its defaults. */
export const OPTION_ROWS: readonly OptionRow[] = [
  server('sd_model_checkpoint', null),
  server('sd_vae', 'Automatic'),
  server('CLIP_stop_at_last_layers', 1),
  server('randn_source', 'GPU', ['GPU', 'CPU', 'NV']),
  server('samples_format', 'png', ['png', 'jpg', 'jpeg', 'webp', 'avif']),
  server('jpeg_quality', 80),
  server('sd_noise_schedule', 'Default', ['Default', 'Zero Terminal SNR']),
  server('return_grid', true),
  server('grid_save', true),
  server('save_to_dirs', true),
  server('live_previews_enable', true),
  server('show_progress_every_n_steps', 10),
  run('emphasis', 'Original', 'emphasis'),
  run('comma_padding_backtrack', 20, 'commaPaddingBacktrack'),
  run('enable_prompt_comments', true, 'promptComments'),
  run('use_old_scheduling', false, 'oldPromptSchedules'),
  run('eta_ddim', 0, 'etaDdim'),
  run('eta_ancestral', 1, 'eta'),
  run('s_churn', 0, 'sChurn'),
  run('s_tmin', 0, 'sTmin'),
  run('s_tmax', 0, 'sTmax'),
  run('s_noise', 1, 'sNoise'),
  run('sigma_min', 0, 'sigmaMin'),
  run('sigma_max', 0, 'sigmaMax'),
  run('rho', 0, 'rho'),
  run('eta_noise_seed_delta', 0, 'etaNoiseSeedDelta'),
  run('always_discard_next_to_last_sigma', false, 'alwaysDiscardNextToLastSigma'),
  run('sgm_noise_multiplier', false, 'sgmNoiseMultiplier'),
  run('enable_quantization', false, 'enableQuantization'),
  run('uni_pc_variant', 'bh1', 'uniPcVariant'),
  run('uni_pc_skip_type', 'time_uniform', 'uniPcSkipType'),
  run('uni_pc_order', 3, 'uniPcOrder'),
  run('beta_dist_alpha', 0.6, 'betaDistAlpha'),
  run('beta_dist_beta', 0.6, 'betaDistBeta'),
  run('use_old_karras_scheduler_sigmas', false, 'useOldKarrasSchedulerSigmas'),
  run('inpainting_mask_weight', 1, 'inpaintingMaskWeight'),
  run('initial_noise_multiplier', 1, 'initialNoiseMultiplier'),
  run('img2img_extra_noise', 0, 'img2imgExtraNoise'),
  run('img2img_fix_steps', false, 'img2imgFixSteps'),
  run('img2img_background_color', '#ffffff', 'img2imgBackgroundColor'),
  run('img2img_color_correction', false, 'img2imgColorCorrection'),
  // Follows from the checkpoint; clients send it back with the others.
  inert('sd_checkpoint_hash', ''),
  inert('samples_save', true),
  inert('grid_format', 'png'),
  inert('grid_save_to_dirs', true),
  inert('directories_max_prompt_words', 8),
  inert('sd_checkpoints_limit', 1),
  inert('sd_checkpoint_cache', 0),
  inert('sd_vae_checkpoint_cache', 0),
  inert('live_previews_image_format', 'png'),
  inert('show_progress_type', 'Approx NN'),
  inert('show_progress_grid', true),
  inert('auto_backcompat', true),
  inert('infotext_styles', 'Apply if any'),
  inert('batch_cond_uncond', true),
  inert('persistent_cond_cache', true),
  inert('auto_vae_precision', true),
  inert('extra_networks_default_multiplier', 1),
  inert('face_restoration_model', 'CodeFormer'),
  inert('code_former_weight', 0.5),
  inert('ESRGAN_tile', 192),
  inert('ESRGAN_tile_overlap', 8),
  inert('sdxl_clip_l_skip', false),
  inert('refiner_switch_by_sample_steps', false),
  inert('hires_fix_refiner_pass', 'second pass'),
  fixed('save_txt', false),
  fixed('save_init_img', false),
  fixed('samples_filename_pattern', ''),
  fixed('directories_filename_pattern', '[date]'),
  fixed('save_images_add_number', true),
  fixed('grid_only_if_multiple', true),
  fixed('save_incomplete_images', false),
  fixed('hires_fix_use_firstpass_conds', false),
  fixed('use_old_hires_fix_width_height', false),
  fixed('use_downcasted_alpha_bar', false),
  fixed('no_dpmpp_sde_batch_determinism', false),
  fixed('upscaler_for_img2img', null, [null, '', 'None']),
  fixed('grid_prevent_empty_spots', false),
  fixed('n_rows', -1),
  fixed('enable_pnginfo', true),
  fixed('webp_lossless', false),
  fixed('sd_unet', 'Automatic', ['Automatic', 'None']),
  fixed('tiling', false),
  fixed('face_restoration', false),
  fixed('sd_vae_encode_method', 'Full'),
  fixed('sd_vae_decode_method', 'Full'),
  fixed('uni_pc_lower_order_final', true),
  fixed('skip_early_cond', 0),
  fixed('s_min_uncond', 0),
  fixed('s_min_uncond_all', false),
  fixed('token_merging_ratio', 0),
  fixed('token_merging_ratio_img2img', 0),
  fixed('token_merging_ratio_hr', 0),
  fixed('pad_cond_uncond', false),
  fixed('pad_cond_uncond_v0', false),
  fixed('fp8_storage', 'Disable'),
  fixed('use_old_emphasis_implementation', false),
  fixed('add_model_name_to_info', true),
  fixed('add_model_hash_to_info', true),
  fixed('add_vae_name_to_info', true),
  fixed('add_vae_hash_to_info', true),
  fixed('add_version_to_infotext', true),
  fixed('add_user_name_to_info', false),
  fixed('overlay_inpaint', true),
  fixed('return_mask', false),
  fixed('return_mask_composite', false),
];

export const OPTION_OF: ReadonlyMap<string, OptionRow> = new Map(OPTION_ROWS.map((one) => [one.key, one]));
