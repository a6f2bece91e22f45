import { sigmaAt } from './trained-sigmas.js';

/** How UniPC's timesteps lie: evenly, evenly in their square root, or evenly in log alpha/sigma. */
export type SkipType = 'time_uniform' | 'time_quadratic' | 'logSNR';

/** The webui's: 1, 1 + s, 1 + 2s … with s = 1000 div steps, from the largest down; often more than `steps`. */
export function ddimTimesteps(steps: number, count: number): number[] {
  const step = Math.floor(count / steps);
  const found: number[] = [];
  for (let t = 0; t < count; t += step) found.push(Math.min(t + 1, count - 1));
  return [...new Set(found)].reverse();
}

/** As diffusers' "trailing" has them: from the last trained one down in even strides, then the clean end. */
export function trailingTimesteps(steps: number, count: number): number[] {
  return [...Array.from({ length: steps }, (_, i) => Math.round(count - (i * count) / steps) - 1), -1];
}

/** n steps from timestep `last` down to 0; in UniPC's time t stands for (t + 1)/1000. */
export function uniPcTimesteps(n: number, last: number, trained: Float64Array, skipType: SkipType): number[] {
  if (skipType === 'logSNR') return logSnrTimesteps(n, last, trained);
  const root = (i: number): number => Math.sqrt(last + 1) * (1 - i / n) + i / n;
  const place = skipType === 'time_quadratic' ? (i: number) => root(i) ** 2 - 1 : (i: number) => last * (1 - i / n);
  return Array.from({ length: n + 1 }, (_, i) => (i === 0 ? last : i === n ? 0 : place(i)));
}

/** log(alpha/sigma) is -log of our sigma: even steps in it, and log alpha linear between the whole timesteps there. */
function logSnrTimesteps(n: number, last: number, trained: Float64Array): number[] {
  const [low, high] = [Math.log(sigmaAt(trained, 0)), Math.log(sigmaAt(trained, last))];
  const logAlpha = (sigma: number): number => -0.5 * Math.log1p(sigma ** 2);
  return Array.from({ length: n + 1 }, (_, i) => {
    const wanted = logAlpha(Math.exp(high + (i / n) * (low - high)));
    const above = trained.findIndex((sigma) => logAlpha(sigma) <= wanted);
    if (above <= 0) return above < 0 ? trained.length - 1 : 0;
    const [from, to] = [logAlpha(sigmaAt(trained, above - 1)), logAlpha(sigmaAt(trained, above))];
    return above - 1 + (wanted - from) / (to - from);
  });
}
