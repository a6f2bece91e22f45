/**
 * Sine and cosine out of + − × alone. ECMAScript leaves the last bit of Math.sin to the engine, and a resized picture's
 * bytes must not depend on it. Coefficients and reduction are fdlibm's (k_sin.c, k_cos.c, Sun Microsystems 1993), with
 * less than one unit in the last place of error for the few turns that a kernel needs.
 */

/** π/2 in two parts; the first has 33 bits, so that small multiples of it are exact. */
const HALF_PI_HIGH = 1.5707963267341256;
const HALF_PI_LOW = 6.077100506506192e-11;

/** Of x·(S1·x² + S2·x⁴ + …), highest first. */
const SINE_TERMS = [
  1.58969099521155e-10, -2.5050760253406863e-8, 0.0000027557313707070068, -0.0001984126982985795, 0.00833333333332249,
  -0.16666666666666632,
];

/** Of 1 − x²/2 + x⁴·(C1 + C2·x² + …), highest first. */
const COSINE_TERMS = [
  -1.1359647557788195e-11, 2.087572321298175e-9, -2.7557314351390663e-7, 0.00002480158728947673, -0.001388888888887411,
  0.0416666666666666,
];

const horner = (terms: readonly number[], z: number): number => terms.reduce((sum, term) => sum * z + term, 0);

function smallSine(x: number): number {
  return x + x * (x * x * horner(SINE_TERMS, x * x));
}

function smallCosine(x: number): number {
  const z = x * x;
  const half = 0.5 * z;
  const rest = 1 - half;
  // What 1 − z/2 lost is added again.
  return rest + (1 - rest - half + z * (z * horner(COSINE_TERMS, z)));
}

/** sin(x + quarters·π/2) for |x| up to 2^20. */
function turned(x: number, quarters: number): number {
  const turns = Math.round(x * (2 / Math.PI));
  const rest = x - turns * HALF_PI_HIGH - turns * HALF_PI_LOW;
  const quadrant = (turns + quarters) & 3;
  const value = (quadrant & 1) === 0 ? smallSine(rest) : smallCosine(rest);
  return quadrant < 2 ? value : -value;
}

export const sine = (x: number): number => turned(x, 0);

export const cosine = (x: number): number => turned(x, 1);
