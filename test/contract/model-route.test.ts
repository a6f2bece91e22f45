import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.js';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

describe('GET /v1/model', () => {
  it('says what the next request is made by, and with what settings', async () => {
    const { status, body } = await server.get('/v1/model');
    expect(status).toBe(200);
    expect(body).toEqual({
      name: 'micro1',
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      family: 'sd1',
      device: 'reference',
      precision: 'fp32',
      defaults: {
        steps: 20,
        sampler_name: 'DPM++ 2M',
        scheduler: 'Automatic',
        cfg_scale: 7,
        width: 512,
        height: 512,
      },
    });
  });

  it('goes by the options', async () => {
    const named = await server.post('/sdapi/v1/options', { sd_model_checkpoint: 'other' });
    expect(named.status).toBe(404);
    expect((await server.get('/v1/model')).body).toMatchObject({ name: 'micro1' });
  });
});
