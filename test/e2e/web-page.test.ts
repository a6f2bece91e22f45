import { existsSync } from 'node:fs';
import { AxeBuilder } from '@axe-core/playwright';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.js';

/** Debian's; no browser is downloaded. Another one: SDGEN_CHROMIUM. */
const CHROMIUM = process.env.SDGEN_CHROMIUM ?? '/usr/bin/chromium';
const isMissing = !existsSync(CHROMIUM);
// Where CI is set the browser must be there: a gate that skips itself is none.
if (isMissing && process.env.CI) throw new Error(`${CHROMIUM} is missing: .ci/run installs it`);

const QUIET = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

let server: TestServer;
let browser: Browser;

beforeAll(async () => {
  if (isMissing) return;
  server = await TestServer.start();
  browser = await chromium.launch({ executablePath: CHROMIUM, args: QUIET });
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

/** The page, opened by its server alone: whatever it asked of another place is listed. */
async function open(
  colorScheme: 'light' | 'dark' = 'light',
): Promise<{ page: Page; elsewhere: string[]; errors: string[] }> {
  const context = await browser.newContext({ colorScheme });
  const page = await context.newPage();
  const elsewhere: string[] = [];
  const errors: string[] = [];
  page.on('request', (request) => {
    if (!request.url().startsWith(server.url) && !request.url().startsWith('data:')) elsewhere.push(request.url());
  });
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  await page.goto(`${server.url}/`);
  await page.getByLabel('Sampler').locator('option', { hasText: 'Euler a' }).waitFor({ state: 'attached' });
  return { page, elsewhere, errors };
}

async function fillSmall(page: Page, prompt: string): Promise<void> {
  await page.getByLabel('Prompt', { exact: true }).fill(prompt);
  for (const [label, value] of [
    ['Width', '64'],
    ['Height', '64'],
    ['Steps', '2'],
    ['Seed (-1 = random)', '7'],
  ] as const) {
    await page.getByLabel(label).fill(value);
  }
}

/** What axe finds wrong for people who cannot see or point. */
async function violations(page: Page): Promise<string[]> {
  const { violations: found } = await new AxeBuilder({ page }).analyze();
  return found.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
}

describe.skipIf(isMissing)('web page (needs Chromium)', () => {
  it.each(['light', 'dark'] as const)(
    'makes a picture by keyboard, %s, and hides nothing from anybody',
    async (scheme) => {
      const { page, elsewhere, errors } = await open(scheme);
      expect(await violations(page)).toEqual([]);
      await fillSmall(page, 'a red fox');
      await page.getByLabel('Sampler').selectOption('Euler a');
      await page.getByLabel('Prompt', { exact: true }).press('Control+Enter');
      const picture = page.getByRole('img', { name: 'a red fox' });
      await picture.waitFor();
      expect(await picture.evaluate((image: { naturalWidth: number }) => image.naturalWidth)).toBe(64);
      await page.getByText('Seed 7: parameters').click();
      expect(await page.locator('pre').textContent()).toMatch(/^a red fox\nSteps: 2, Sampler: Euler a,/);
      expect(await violations(page)).toEqual([]);
      expect({ elsewhere, errors }).toEqual({ elsewhere: [], errors: [] });
    },
  );

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

  it('shows progress, cancels, and says what was refused', async () => {
    const { page } = await open();
    await fillSmall(page, 'slow');
    await page.getByLabel('Steps').fill('150');
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
    const answer = await fetch(`${server.url}/`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect((await fetch(`${server.url}/../package.json`)).status).toBe(404);
    expect((await fetch(`${server.url}/%2e%2e/package.json`)).status).toBe(404);
  });
});
