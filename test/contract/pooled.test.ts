import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadAddon } from '../../src/native/load.js';
import type { Conditioning, NativeModel, SampleRequest } from '../../src/native/types.js';
import { sampleRequest } from '../support/native-model.js';
import { tinyFolderPath } from '../support/tiny-model.js';

/** A model that embeds the pooled text: what crosses the boundary. */
let model: NativeModel;
beforeAll(async () => {
  const path = await tinyFolderPath('micro-pooled');
  model = await (await loadAddon()).openModel({ path, device: 'reference', precision: 'fp32', threads: 1 });
});
afterAll(() => model.close());

/** A window of 24 tokens that begins with these. */
function window(...tokens: number[]) {
  const all = new Int32Array(24).fill(49407);
  all.set([49406, ...tokens]);
  return { tokens: all, weights: new Float32Array(24).fill(1) };
}

async function encode(chunks: ReturnType<typeof window>[], clipSkip = 1): Promise<Conditioning> {
  const { conditionings } = await model.encodeText({ groups: [[{ chunks, count: 1 }]], clipSkip, restoreMean: true })
    .promise;
  const found = conditionings[0]?.[0];
  if (found === undefined) throw new Error('no conditioning');
  return found;
}

/** The features of token `at`. */
const row = ({ data, width }: Conditioning, at: number): Float32Array => data.slice(at * width, (at + 1) * width);

function request(pooled: Float32Array | undefined, seeds = [1]): SampleRequest {
  const plain = sampleRequest(model.describe(), 2, seeds);
  return {
    ...plain,
    conditionings: plain.conditionings.map((conditioning) => ({
      ...conditioning,
      ...(pooled === undefined ? {} : { pooled }),
    })),
  };
}

describe('the pooled text', () => {
  it('is described, with what else the config of the folder states', () => {
    const { unet, text, noise, latentChannels, vae, predictionType } = model.describe();
    expect(unet).toMatchObject({ pooledWidth: 64, contextWidth: 64, channelMultipliers: [1, 2, 3] });
    expect(unet.heads.value.slice(1)).toEqual([2, 3]);
    expect([text.positions, latentChannels, vae.channelMultipliers]).toEqual([24, 8, [1, 3, 2, 2]]);
    expect(noise).toMatchObject({
      trailingTimesteps: true,
      zeroTerminalSnr: { value: true, origin: 'config' },
      origin: 'config',
    });
    expect(predictionType).toEqual({ value: 'v_prediction', origin: 'config' });
  });

  it('is the features at the first end token of the first window', async () => {
    const first = await encode([window(320, 2368)]);
    expect(first.pooled).toEqual(row(first, 3));
    const both = await encode([window(320, 2368), window(1125)]);
    expect(both.tokens).toBe(48);
    expect(both.pooled).toEqual(first.pooled);
  });

  it("is the last layer's whatever clip skip says, and not emphasised", async () => {
    const plain = await encode([window(320, 2368)]);
    const skipped = await encode([window(320, 2368)], 2);
    expect(skipped.data).not.toEqual(plain.data);
    expect(skipped.pooled).toEqual(plain.pooled);
    const weights = new Float32Array(24).fill(1.5);
    const loud = await encode([{ ...window(320, 2368), weights }]);
    expect(loud.pooled).toEqual(plain.pooled);
  });

  it('changes the result, and is needed with its length', async () => {
    const { pooled } = await encode([window(320, 2368)]);
    const { pooled: other } = await encode([window(1125)]);
    const latents = [];
    for (const one of [pooled, other, pooled]) latents.push((await model.sample(request(one)).promise).latent.data);
    expect(latents[1]).not.toEqual(latents[0]);
    expect(latents[2]).toEqual(latents[0]);
    for (const wrong of [undefined, new Float32Array(63)]) {
      await expect(model.sample(request(wrong)).promise).rejects.toMatchObject({ code: 'E_INVALID_ARGUMENT' });
    }
  });

  it('gives an image of a batch what it gives it alone', async () => {
    const { pooled } = await encode([window(320, 2368)]);
    const alone = (await model.sample(request(pooled, [9])).promise).latent;
    const batch = (await model.sample(request(pooled, [4, 9])).promise).latent;
    expect(batch.data.slice(batch.data.length / 2)).toEqual(alone.data);
  });
});
