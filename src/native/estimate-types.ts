/** The VAE in squares of `tile` latent cells that overlap by `overlap` or more. */
export interface Tiling {
  readonly tile: number;
  readonly overlap: number;
}

export interface EstimateRequest {
  readonly latentWidth: number;
  readonly latentHeight: number;
  readonly batch: number;
  readonly condTokens: number;
  readonly uncondTokens: number;
  /** False when cfgScale is 1. */
  readonly useUncond: boolean;
  readonly tiling?: Tiling;
  /** Latent size of the pictures that are encoded, where any are. */
  readonly encoded?: { readonly latentWidth: number; readonly latentHeight: number; readonly tiling?: Tiling };
}

export interface PartEstimate {
  readonly weightBytes: number;
  readonly arenaBytes: number;
  /** The largest sum of live bytes: no plan can need less. */
  readonly liveBytes: number;
  readonly flops: number;
}

export interface Estimate {
  readonly weightBytes: number;
  /** The parts share one arena. */
  readonly arenaBytes: number;
  readonly peakBytes: number;
  /** One evaluation each: text of one chunk, UNet of the whole batch, VAE's decoder and encoder of one image. */
  readonly parts: Readonly<Record<'text' | 'unet' | 'vae' | 'encoder', PartEstimate>>;
}
