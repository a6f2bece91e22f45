import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fillSmall, isMissing, type OpenPage, PageTester, sizeOf, violations } from '../support/browser.js';

let tester: PageTester;

beforeAll(async () => {
  if (!isMissing) tester = await PageTester.start();
});
afterAll(() => tester?.stop());

const open = (colorScheme?: 'light' | 'dark'): Promise<OpenPage> => tester.open(colorScheme);

describe.skipIf(isMissing)('web page (needs Chromium)', () => {
  it.each(['light', 'dark'] as const)(
    'makes a picture by keyboard, %s, and hides nothing from anybody',
    async (scheme) => {
      const { page, elsewhere, errors } = await open(scheme);
      expect(await violations(page)).toEqual([]);
      await fillSmall(page, 'a red fox');
      await page.getByLabel('Sampler').selectOption('Euler a');
      await page.getByLabel('Prompt', { exact: true }).press('Control+Enter');
      expect(await sizeOf(page, 'a red fox')).toEqual([64, 64]);
      await page.getByText('Seed 7: parameters').click();
      expect(await page.locator('pre').textContent()).toMatch(/^a red fox\nSteps: 2, Sampler: Euler a,/);
      expect(await violations(page)).toEqual([]);
      expect({ elsewhere, errors }).toEqual({ elsewhere: [], errors: [] });
    },
  );

  it("begins with the model's own settings, and says so where it cannot have them", async () => {
    const facts = {
      name: 'a model',
      family: 'sd1',
      device: 'cpu',
      precision: 'bf16',
      defaults: { steps: 12, sampler_name: 'DDIM', scheduler: 'Karras', cfg_scale: 3.5, width: 256, height: 320 },
    };
    const { page } = await open();
    await page.route('**/v1/model', (route) => route.fulfill({ json: facts }));
    await page.reload();
    await page.getByText('a model (sd1) on cpu, bf16').waitFor();
    const labels = ['Steps', 'CFG scale', 'Width', 'Height', 'Sampler', 'Schedule'];
    const shown = await Promise.all(labels.map((label) => page.getByLabel(label, { exact: true }).inputValue()));
    expect(shown).toEqual(['12', '3.5', '256', '320', 'DDIM', 'Karras']);
    await page.route('**/v1/model', (route) => route.fulfill({ status: 404, json: { detail: 'there is no model' } }));
    await page.reload();
    expect(await page.getByRole('alert').textContent()).toBe('there is no model');
    expect(await page.getByRole('button', { name: 'Generate' }).count()).toBe(0);
    await page.unroute('**/v1/model');
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('button', { name: 'Generate' }).waitFor();
  });

  it('sends a picture back to the prompt with its settings and seed', async () => {
    const { page } = await open();
    await fillSmall(page, 'a blue bird');
    await page.getByLabel('Seed (-1 = random)').fill('-1');
    await page.getByRole('button', { name: 'Generate' }).click();
    const summary = page.getByText(/^Seed \d+: parameters$/);
    await summary.waitFor();
    const seed = /\d+/.exec((await summary.textContent()) ?? '')?.[0] ?? '';
    await page.getByLabel('Prompt', { exact: true }).fill('something else');
    await page.getByRole('button', { name: 'Send to prompt' }).click();
    expect(await page.getByLabel('Prompt', { exact: true }).inputValue()).toBe('a blue bird');
    expect(await page.getByLabel('Seed (-1 = random)').inputValue()).toBe(seed);
  });

  it('goes over a picture again at another size', async () => {
    const { page, jobs } = await open();
    await fillSmall(page, 'a larger fox');
    await page.getByLabel('Enlarge it and go over it again').check();
    await page.getByLabel('Scale', { exact: true }).fill('1.5');
    await page.getByLabel('Steps (0 = as before)').fill('3');
    await page.getByLabel('Upscaler').selectOption('Latent (nearest-exact)');
    await page.getByLabel('Denoising strength').fill('0.6');
    await page.getByText('The picture will have 96×96 pixels.').waitFor();
    expect(await violations(page)).toEqual([]);
    await page.getByRole('button', { name: 'Generate' }).click();
    expect(await sizeOf(page, 'a larger fox')).toEqual([96, 96]);
    expect(jobs).toEqual([
      expect.objectContaining({
        enable_hr: true,
        hr_scale: 1.5,
        hr_second_pass_steps: 3,
        hr_upscaler: 'Latent (nearest-exact)',
        denoising_strength: 0.6,
      }),
    ]);
    await page.getByText('Seed 7: parameters').click();
    expect(await page.locator('pre').textContent()).toContain('Hires upscaler: Latent (nearest-exact)');
  });

  it('shows progress, cancels, and says what was refused', async () => {
    const { page } = await open();
    await fillSmall(page, 'slow');
    await page.getByLabel('Steps', { exact: true }).fill('150');
    await page.getByLabel('Width').fill('512');
    await page.getByRole('button', { name: 'Generate' }).click();
    await page.getByText(/step [1-9]\d* of 150/).waitFor();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('progressbar').waitFor({ state: 'detached' });
    expect(await page.getByRole('img').count()).toBe(0);
    await page.getByLabel('Width').evaluate((input: { removeAttribute: (name: string) => void }) => {
      input.removeAttribute('max');
    });
    await page.getByLabel('Width').fill('100000');
    await page.getByLabel('Prompt', { exact: true }).press('Control+Enter');
    expect(await page.getByRole('alert').textContent()).toMatch(/width/);
  });

  it('is served with a policy that lets nothing else in', async () => {
    const { server } = tester;
    const answer = await fetch(`${server.url}/`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect((await fetch(`${server.url}/../package.json`)).status).toBe(404);
    expect((await fetch(`${server.url}/%2e%2e/package.json`)).status).toBe(404);
  });
});
