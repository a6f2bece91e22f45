/** `cuda` is the first card, `cuda:N` the one that the driver numbers N. */
export type DeviceName = 'reference' | 'cpu' | 'cuda' | `cuda:${number}`;
export type Precision = 'fp32' | 'bf16' | 'fp16';
export type PredictionType = 'epsilon' | 'v_prediction';

export interface ModelOverrides {
  readonly predictionType?: PredictionType;
  readonly textHeads?: number;
  readonly unetHeads?: number;
  readonly scaleFactor?: number;
  readonly zeroTerminalSnr?: boolean;
}

export interface OpenOptions {
  /** Of a .safetensors file, or of a folder of diffusers. */
  readonly path: string;
  /** Of a file or folder whose VAE takes the place of the model's own. */
  readonly vae?: string;
  readonly device: DeviceName;
  readonly precision: Precision;
  /** 0 = one per physical core. */
  readonly threads: number;
  readonly overrides?: ModelOverrides;
}

export interface SamplerOptions {
  readonly eta: number;
  readonly sChurn: number;
  readonly sTmin: number;
  /** Infinity is written as Number.MAX_VALUE in a plan, which is JSON. */
  readonly sTmax: number;
  readonly sNoise: number;
  /** Of UniPC: its B(h), h or e^h - 1, or coefficients that vary with h (default bh1), and its order, 1 to 3 (default 3). */
  readonly unipcVariant?: 'bh1' | 'bh2' | 'vary_coeff';
  readonly unipcOrder?: number;
}
