import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hiresSize, middleOf } from '../../../src/pipeline/hires-size.js';
import { UsageError } from '../../../src/request/errors.js';

/** Python's //, for any signs. */
const floorDivide = (a: bigint, b: bigint): bigint => {
  const quotient = a / b;
  return a % b !== 0n && a < 0n !== b < 0n ? quotient - 1n : quotient;
};

interface Request {
  readonly width: number;
  readonly height: number;
  readonly hiresScale: number;
  readonly hiresResizeX: number;
  readonly hiresResizeY: number;
}

/**
 * The webui's rules by themselves: whole numbers as Python divides them, and the middle as the slice that it takes:
 * [t // 2, size - (t + 1) // 2) of what is t cells too large. Ratios are compared as fractions.
 */
function oracle({ width, height, hiresScale, hiresResizeX, hiresResizeY }: Request) {
  const [w, h, x, y] = [width, height, hiresResizeX, hiresResizeY].map(BigInt) as [bigint, bigint, bigint, bigint];
  const byFactor = (side: number): bigint => BigInt(Math.floor(side * hiresScale));
  let to = [byFactor(width), byFactor(height)] as const;
  let cut: readonly [bigint, bigint] = [0n, 0n];
  if (x !== 0n && y === 0n) to = [x, floorDivide(x * h, w)];
  if (x === 0n && y !== 0n) to = [floorDivide(y * w, h), y];
  if (x !== 0n && y !== 0n) {
    to = w * y < x * h ? [x, floorDivide(x * h, w)] : [floorDivide(y * w, h), y];
    cut = [floorDivide(to[0] - x, 8n), floorDivide(to[1] - y, 8n)];
  }
  const slice = (pixels: bigint, t: bigint): [number, number] => {
    const cells = floorDivide(pixels, 8n);
    return [Number(floorDivide(t, 2n)), Number(cells - floorDivide(t + 1n, 2n))];
  };
  return { resized: to.map(Number), x: slice(to[0], cut[0]), y: slice(to[1], cut[1]) };
}

const BASE: Request = { width: 512, height: 512, hiresScale: 2, hiresResizeX: 0, hiresResizeY: 0 };

describe('the size of a second pass', () => {
  it('is what the webui computes, for every request within the limits', () => {
    const side = fc.integer({ min: 2, max: 256 }).map((cells) => 8 * cells);
    const target = fc.oneof(fc.constant(0), fc.integer({ min: 16, max: 4096 }));
    const request = fc.record({
      width: side,
      height: side,
      hiresScale: fc.double({ min: 0.5, max: 4, noNaN: true }),
      hiresResizeX: target,
      hiresResizeY: target,
    });
    let cuts = 0;
    fc.assert(
      fc.property(request, (asked) => {
        const expected = oracle(asked);
        const isSame = expected.resized[0] === asked.width && expected.resized[1] === asked.height;
        const sides = [...expected.resized, 8 * (expected.x[1] - expected.x[0]), 8 * (expected.y[1] - expected.y[0])];
        if (!isSame && sides.some((one) => one < 16 || one > 16384)) {
          expect(() => hiresSize(asked, 8)).toThrow(UsageError);
          return;
        }
        const size = hiresSize(asked, 8);
        if (isSame) return expect(size).toBeUndefined();
        const [cellsX = 0, cellsY = 0] = sides.map((one) => Math.floor(one / 8));
        expect([size?.resized.width, size?.resized.height]).toEqual(expected.resized);
        const { width = Number.NaN, height = Number.NaN } = size?.latent ?? {};
        const [left, top] = [middleOf(cellsX, width), middleOf(cellsY, height)];
        expect([left, left + width, top, top + height]).toEqual([...expected.x, ...expected.y]);
        if (width < cellsX || height < cellsY) cuts += 1;
      }),
      { numRuns: 2000, seed: 11 },
    );
    expect(cuts).toBeGreaterThan(100);
  });

  it.each([
    [{}, [1024, 1024], [128, 128]],
    [{ hiresScale: 1.55 }, [793, 793], [99, 99]],
    [{ width: 640, hiresResizeX: 1000 }, [1000, 800], [125, 100]],
    [{ width: 640, hiresResizeY: 600 }, [750, 600], [93, 75]],
    // Both sides: covered, and the middle taken.
    [{ hiresResizeX: 1024, hiresResizeY: 576 }, [1024, 1024], [128, 72]],
    [{ width: 768, hiresResizeX: 900, hiresResizeY: 900 }, [1350, 900], [112, 112]],
  ])('%j', (request, resized, latent) => {
    const size = hiresSize({ ...BASE, ...request }, 8);
    expect([size?.resized.width, size?.resized.height]).toEqual(resized);
    expect([size?.latent.width, size?.latent.height]).toEqual(latent);
  });

  it('is none where it would be that of the first pass', () => {
    expect(hiresSize({ ...BASE, hiresScale: 1 }, 8)).toBeUndefined();
    expect(hiresSize({ ...BASE, hiresResizeX: 512 }, 8)).toBeUndefined();
  });

  it('is refused beyond the limits', () => {
    expect(() => hiresSize({ ...BASE, width: 16384, hiresScale: 1.5 }, 8)).toThrow('24576x768 pixels');
    expect(() => hiresSize({ ...BASE, hiresResizeX: 8 }, 8)).toThrow('8x8 pixels');
  });
});
