/** What the page asks for, by the server's names. */

export interface Settings {
  readonly prompt: string;
  readonly negative_prompt: string;
  readonly steps: number;
  readonly sampler_name: string;
  readonly scheduler: string;
  readonly cfg_scale: number;
  readonly width: number;
  readonly height: number;
  readonly seed: number;
  readonly batch_size: number;
}

/** The second pass of a picture from text. */
export interface Hires {
  readonly enable_hr: boolean;
  readonly hr_scale: number;
  /** 0: as many as the first pass. */
  readonly hr_second_pass_steps: number;
  readonly hr_upscaler: string;
  readonly denoising_strength: number;
}

/** How a picture to begin with counts. */
export interface StartSettings {
  readonly denoising_strength: number;
  readonly resize_mode: number;
  readonly mask_blur: number;
  readonly inpainting_fill: number;
  readonly inpaint_full_res: boolean;
  readonly inpaint_full_res_padding: number;
  readonly inpainting_mask_invert: number;
}

/** A picture to begin with. */
export interface StartPicture {
  /** A data URL of the file as it was given. */
  readonly source: string;
  /** Upright, in pixels. */
  readonly width: number;
  readonly height: number;
  /** A data URL: white where to repaint; undefined: everywhere. */
  readonly mask: string | undefined;
  /** Another with every picture that is put here. */
  readonly key: number;
}

/** All that a picture is made by. */
export interface Asked {
  readonly settings: Settings;
  readonly hires: Hires;
  readonly startSettings: StartSettings;
  /** Undefined: from text alone. */
  readonly start: StartPicture | undefined;
}

/** The defaults of `sdgen img2img` and of the webui's page, which are not those of its API. */
export const START_DEFAULTS: StartSettings = {
  denoising_strength: 0.75,
  resize_mode: 0,
  mask_blur: 4,
  inpainting_fill: 1,
  inpaint_full_res: false,
  inpaint_full_res_padding: 32,
  inpainting_mask_invert: 0,
};

export const HIRES_DEFAULTS: Hires = {
  enable_hr: false,
  hr_scale: 2,
  hr_second_pass_steps: 0,
  hr_upscaler: 'Latent',
  denoising_strength: 0.7,
};

/** The rest is the model's to say. */
export const SETTINGS_DEFAULTS = { prompt: '', negative_prompt: '', seed: -1, batch_size: 1 } as const;

/** The body of a job. */
export function bodyOf({ settings, hires, startSettings, start }: Asked): Record<string, unknown> {
  if (start === undefined) return hires.enable_hr ? { ...settings, ...hires } : { ...settings };
  const { mask_blur, inpainting_fill, inpaint_full_res, inpaint_full_res_padding, inpainting_mask_invert, ...rest } =
    startSettings;
  const masked = { mask_blur, inpainting_fill, inpaint_full_res, inpaint_full_res_padding, inpainting_mask_invert };
  return {
    ...settings,
    ...rest,
    init_images: [start.source],
    ...(start.mask === undefined ? {} : { mask: start.mask, ...masked }),
  };
}

/** A size that the server takes: multiples of 8 from 64 on. */
const whole = (side: number): number => Math.max(64, Math.round(side / 8) * 8);

/**
 * The size to begin with for a picture: its own where the model can be expected to make such, which is up to twice its
 * sides; else the model's number of pixels in the picture's shape.
 */
export function sizeFor(
  picture: { readonly width: number; readonly height: number },
  model: { readonly width: number; readonly height: number },
): { width: number; height: number } {
  const [pixels, usual] = [picture.width * picture.height, model.width * model.height];
  const scale = pixels <= 4 * usual ? 1 : Math.sqrt(usual / pixels);
  return { width: whole(picture.width * scale), height: whole(picture.height * scale) };
}
