/** Latents as they cross, whole batches. */
export interface Latent {
  /** [batch, channels, height, width]. */
  readonly data: Float32Array;
  readonly batch: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}
