import type { TrailPoint } from '../native/types.js';

/** Where one picture's latent stood in a pass of sampling: the start (step 0) and after each step that was reported. */
export interface TrailPass {
  readonly steps: readonly number[];
  /** Of each of these the latent's hash (docs/numerics.md, Trail): 16 hexadecimal digits. */
  readonly hashes: readonly string[];
}

/** The passes of a picture in their order. */
export type Trail = readonly TrailPass[];

/** What a batch's trail says of one of its images. */
export function passOf(points: readonly TrailPoint[], image: number): TrailPass {
  return { steps: points.map(({ step }) => step), hashes: points.map(({ hashes }) => hashes[image] ?? '') };
}

/** Where two trails part. */
export interface Parting {
  /** From 0. */
  readonly pass: number;
  /** The first step after which the latents differ; 0: they began differently. */
  readonly step: number;
  /** Later points that agree again: then it was not the run that differed but what is written of it. */
  readonly agreeAgain: boolean;
}

/** The first point at which a trail is not the other; undefined where there is none. */
export function partingOf(recorded: Trail, replayed: Trail): Parting | undefined {
  for (let pass = 0; pass < Math.max(recorded.length, replayed.length); pass += 1) {
    const [a, b] = [recorded[pass], replayed[pass]];
    const points = Math.max(a?.steps.length ?? 0, b?.steps.length ?? 0);
    const agrees = (i: number): boolean => a?.hashes[i] === b?.hashes[i] && a?.steps[i] === b?.steps[i];
    const at = Array.from({ length: points }, (_, i) => i).find((i) => !agrees(i));
    if (at === undefined) continue;
    const later = Array.from({ length: points - at - 1 }, (_, i) => at + 1 + i);
    return { pass, step: b?.steps[at] ?? a?.steps[at] ?? 0, agreeAgain: later.some(agrees) };
  }
  return undefined;
}
