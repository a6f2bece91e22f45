/** What `bench` measures; sizes are pixels, an absent list means all. */
export interface BenchOptions {
  readonly arch: string;
  /** A checkpoint whose dimensions are taken instead; none of its weights is read. */
  readonly model?: string;
  readonly parts?: readonly string[];
  readonly precisions?: readonly string[];
  readonly width: number;
  readonly height: number;
  readonly batch: number;
  readonly device: string;
  /** 0: one per physical core. */
  readonly threads: number;
  readonly repeat: number;
  readonly opShapes: boolean;
}

/** A quick look at the peak alone. */
export interface ProbeOptions {
  readonly precision: 'fp32' | 'bf16';
  /** 0: one per physical core. */
  readonly threads: number;
  /** For about so long, 0 to 60. */
  readonly seconds: number;
}

/** The same report for people and for programs. */
export interface BenchReport {
  readonly text: string;
  readonly json: string;
}
