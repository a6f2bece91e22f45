import type { OpenOptions, Precision, SamplerOptions } from './open-types.js';

/** One part of a model on tensors of a file; names and shapes as in the fixtures, NCHW. */
export type EvalOptions = { readonly inputs: string; readonly output: string } & (
  | (OpenOptions & {
      readonly part: 'text' | 'unet' | 'vae-decode' | 'vae-encode';
      /** Writes named inner activations too. */
      readonly inner?: boolean;
    })
  | {
      readonly part: 'sampler';
      /** A sampler over the denoiser D(x, s) = x/(1+s²) + 0.1·s²/(1+s²)·tanh(x/√(1+s²)), with the file's noise. */
      readonly sampler: {
        readonly id: string;
        /** The file's sigmas.<schedule>, and timesteps.<schedule> where the sampler walks them. */
        readonly schedule: string;
        readonly options: SamplerOptions;
        readonly startWithSignal: boolean;
      };
    }
);

/** The first device is the yardstick. */
export interface CompareOptions extends OpenOptions {
  readonly part: string;
  /** Without it on noise, at a small size. */
  readonly inputs?: string;
  readonly second: { readonly device: string; readonly precision: Precision };
  /** Of an op's error; 0: bytes. Without it by the second precision. */
  readonly tolerance?: number;
}

/** An op of the second device on the first device's values: its error is its own. */
export interface ComparedOp {
  /** Of its node in the second device's program. */
  readonly index: number;
  readonly op: string;
  /** The first weight that it reads; empty where there is none. */
  readonly weight: string;
  readonly shape: string;
  readonly sameBytes: boolean;
  /** max|a - b| / max|a|; infinite for a value that is not finite. */
  readonly error: number;
  readonly differs: boolean;
}

export interface Comparison {
  readonly tolerance: number;
  /** Ops of the second device whose result the first never has: copies, fused steps. */
  readonly notCompared: number;
  readonly ops: readonly ComparedOp[];
  /** For people. */
  readonly text: string;
}
