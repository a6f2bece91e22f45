import { existsSync } from 'node:fs';
import { AxeBuilder } from '@axe-core/playwright';
import { type Browser, chromium, type Page } from 'playwright-core';
import { TestServer } from './server.js';

/** Debian's; no browser is downloaded. Another one: SDGEN_CHROMIUM. */
const CHROMIUM = process.env.SDGEN_CHROMIUM ?? '/usr/bin/chromium';
export const isMissing = !existsSync(CHROMIUM);
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

export interface OpenPage {
  readonly page: Page;
  /** What it asked of any other place. */
  readonly elsewhere: string[];
  readonly errors: string[];
  /** Bodies of the jobs that it began. */
  readonly jobs: Record<string, unknown>[];
}

/** A server and a browser that looks at its page. */
export class PageTester {
  private constructor(
    readonly server: TestServer,
    readonly browser: Browser,
  ) {}

  static async start(): Promise<PageTester> {
    const server = await TestServer.start();
    return new PageTester(server, await chromium.launch({ executablePath: CHROMIUM, args: QUIET }));
  }

  async stop(): Promise<void> {
    await this.browser.close();
    await this.server.stop();
  }

  /** The page, opened by its server alone. */
  async open(colorScheme: 'light' | 'dark' = 'light'): Promise<OpenPage> {
    const { server } = this;
    const context = await this.browser.newContext({ colorScheme });
    const page = await context.newPage();
    const opened: OpenPage = { page, elsewhere: [], errors: [], jobs: [] };
    page.on('request', (request) => {
      const url = request.url();
      if (!url.startsWith(server.url) && !url.startsWith('data:')) opened.elsewhere.push(url);
      if (request.method() === 'POST' && url === `${server.url}/v1/jobs`) opened.jobs.push(request.postDataJSON());
    });
    page.on('pageerror', (error) => opened.errors.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') opened.errors.push(message.text());
    });
    await page.goto(`${server.url}/`);
    await page.getByLabel('Sampler').locator('option', { hasText: 'Euler a' }).waitFor({ state: 'attached' });
    return opened;
  }
}

export async function fillSmall(page: Page, prompt: string): Promise<void> {
  await page.getByLabel('Prompt', { exact: true }).fill(prompt);
  for (const [label, value] of [
    ['Width', '64'],
    ['Height', '64'],
    ['Steps', '2'],
    ['Seed (-1 = random)', '7'],
  ] as const) {
    await page.getByLabel(label, { exact: true }).fill(value);
  }
}

/** What axe finds wrong for people who cannot see or point. */
export async function violations(page: Page): Promise<string[]> {
  const { violations: found } = await new AxeBuilder({ page }).analyze();
  return found.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
}

/** Width and height of a picture on the page, once it is there. */
export async function sizeOf(page: Page, name: string): Promise<number[]> {
  const picture = page.getByRole('img', { name });
  await picture.waitFor();
  return picture.evaluate((image: { naturalWidth: number; naturalHeight: number }) => [
    image.naturalWidth,
    image.naturalHeight,
  ]);
}
