import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readPicture } from '../../src/image/read-picture.js';
import { fillSmall, isMissing, PageTester, sizeOf, violations } from '../support/browser.js';
import { boxMask, pngOf, scene } from '../support/pictures.js';

let tester: PageTester;
let picture: Buffer;

beforeAll(async () => {
  if (isMissing) return;
  tester = await PageTester.start();
  picture = await pngOf(scene(64, 64));
});
afterAll(() => tester?.stop());

const CHOOSE = 'Choose, drop or paste one';
const file = (buffer: Buffer, name = 'in.png') => ({ name, mimeType: 'image/png', buffer });
const dataUrl = (bytes: Buffer): string => `data:image/png;base64,${bytes.toString('base64')}`;

/** Chooses the picture and waits until it is shown. */
async function begin(page: Page): Promise<void> {
  await page.getByLabel(CHOOSE).setInputFiles(file(picture));
  await page.getByRole('img', { name: 'What it begins with' }).waitFor();
}

/** Drags the pointer over the picture, by shares of its sides. */
async function drag(page: Page, from: readonly [number, number], to: readonly [number, number]): Promise<void> {
  const canvas = page.locator('canvas');
  await canvas.scrollIntoViewIfNeeded();
  const box = await canvas.boundingBox();
  if (box === null) throw new Error('there is no canvas');
  const at = ([x, y]: readonly [number, number]) => [box.x + x * box.width, box.y + y * box.height] as const;
  await page.mouse.move(...at(from));
  await page.mouse.down();
  await page.mouse.move(...at(to), { steps: 5 });
  await page.mouse.up();
}

/** A picture on the page, decoded. */
async function pixelsOf(page: Page, name: string) {
  const source = (await page.getByRole('img', { name }).getAttribute('src')) ?? '';
  return (await readPicture(Buffer.from(source.replace(/^.*,/, ''), 'base64'))).pixels;
}

async function decoded(url: unknown) {
  return (await readPicture(Buffer.from(String(url).replace(/^.*,/, ''), 'base64'))).pixels;
}

/** Gives the page a file as an event of the browser does. */
function hand(page: Page, selector: string, type: 'drop' | 'paste', bytes: Buffer): Promise<void> {
  // As text: it runs in the page, whose types these tests have not.
  const script = `(() => {
    const bytes = Uint8Array.from(atob(${JSON.stringify(bytes.toString('base64'))}), (c) => c.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], 'in.png', { type: 'image/png' }));
    const options = { bubbles: true, cancelable: true };
    const event = ${JSON.stringify(type)} === 'drop'
      ? new DragEvent('drop', { ...options, dataTransfer: data })
      : new ClipboardEvent('paste', { ...options, clipboardData: data });
    document.querySelector(${JSON.stringify(selector)}).dispatchEvent(event);
  })()`;
  return page.evaluate(script);
}

describe.skipIf(isMissing)('pictures from pictures on the web page (needs Chromium)', () => {
  it.each(['light', 'dark'] as const)('repaints what the pointer has drawn on, %s', async (scheme) => {
    const { page, jobs, errors, elsewhere } = await tester.open(scheme);
    await fillSmall(page, 'a red door');
    await begin(page);
    await page.getByText('No mask: the whole picture is gone over.').waitFor();
    await page.getByLabel('Brush in pixels').fill('16');
    await drag(page, [0.1, 0.25], [0.9, 0.25]);
    await page.getByText(/^[12]\d\.\d % is masked\.$/).waitFor();
    expect(await violations(page)).toEqual([]);
    await page.getByLabel('Denoising strength').fill('0.9');
    await page.getByLabel('Mask blur in pixels').fill('0');
    await page.getByLabel('Begin there with').selectOption('Blurred surroundings');
    await page.getByRole('button', { name: 'Generate' }).click();
    expect(await sizeOf(page, 'a red door')).toEqual([64, 64]);
    expect(jobs).toHaveLength(1);
    const [job = {}] = jobs;
    expect(job).toMatchObject({
      init_images: [dataUrl(picture)],
      denoising_strength: 0.9,
      resize_mode: 0,
      inpainting_fill: 0,
      inpaint_full_res: false,
      inpainting_mask_invert: 0,
      mask_blur: 0,
    });
    const mask = await decoded(job.mask);
    expect([mask.width, mask.height, mask.channels]).toEqual([64, 64, 3]);
    const [made, given] = [await pixelsOf(page, 'a red door'), scene(64, 64)];
    const isMasked = (pixel: number): boolean => (mask.data[pixel * 3] ?? 0) > 0;
    const differs = (pixel: number): boolean =>
      [0, 1, 2].some((c) => made.data[pixel * 3 + c] !== given.data[pixel * 3 + c]);
    const pixels = [...Array(64 * 64).keys()];
    expect(pixels.filter((pixel) => !isMasked(pixel) && differs(pixel))).toEqual([]);
    const [masked, changed] = [pixels.filter(isMasked), pixels.filter(differs)];
    expect(masked.length).toBeGreaterThan(400);
    expect(changed.length).toBeGreaterThan(masked.length / 2);
    expect({ errors, elsewhere }).toEqual({ errors: [], elsewhere: [] });
  });

  it('has its mask drawn, erased and taken back by keys', async () => {
    const { page, jobs } = await tester.open();
    await fillSmall(page, 'by keys');
    await begin(page);
    await page.getByLabel('Brush in pixels').fill('8');
    await page.getByRole('application', { name: 'Mask' }).focus();
    await page.keyboard.press('Space');
    await page.getByText('The brush is down.').waitFor();
    for (let i = 0; i < 8; i += 1) await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Space');
    const masked = page.getByText(/^\d+\.\d % is masked\.$/);
    expect(Number.parseFloat((await masked.textContent()) ?? '')).toBeCloseTo(4.4, 0);
    // From here on: far up, and a dot there; then it is taken back.
    await page.keyboard.press('Shift+ArrowUp');
    await page.keyboard.press('Space');
    await page.keyboard.press('Escape');
    await page.getByText(/^5\.\d % is masked\.$/).waitFor();
    await page.keyboard.press('Control+z');
    await page.getByText(/^4\.\d % is masked\.$/).waitFor();
    await page.keyboard.press('+');
    expect(await page.getByLabel('Brush in pixels').inputValue()).toBe('10');
    await page.keyboard.press('e');
    expect(await page.getByLabel('Erase').isChecked()).toBe(true);
    await page.keyboard.press('Shift+ArrowDown');
    await page.keyboard.press('Space');
    // Without lifting it: what it has drawn counts.
    await page.keyboard.press('Control+Enter');
    await sizeOf(page, 'by keys');
    const { data } = await decoded(jobs[0]?.mask);
    const share = data.reduce((sum, level) => sum + level, 0) / (255 * data.length);
    expect(share).toBeGreaterThan(0.02);
    expect(share).toBeLessThan(0.04);
    await page.getByRole('button', { name: 'Clear the mask' }).click();
    await page.getByText('No mask: the whole picture is gone over.').waitFor();
    expect(await page.getByLabel('Mask blur in pixels').count()).toBe(0);
  });

  it('takes a mask from a file, and sends all that was asked for back with the picture', async () => {
    const { page, jobs } = await tester.open();
    await fillSmall(page, 'from a file');
    await begin(page);
    await page.getByLabel('Mask from a file').setInputFiles(file(await pngOf(boxMask(64, 64, [16, 16, 48, 48]))));
    await page.getByText('25.0 % is masked.').waitFor();
    await page.getByLabel('Area').selectOption('Only around the mask');
    await page.getByLabel('Padding in pixels').fill('4');
    await page.getByLabel('Make anew').selectOption('What is not masked');
    await page.getByRole('button', { name: 'Generate' }).click();
    await sizeOf(page, 'from a file');
    expect(jobs[0]).toMatchObject({
      inpaint_full_res: true,
      inpaint_full_res_padding: 4,
      inpainting_mask_invert: 1,
      mask_blur: 4,
    });
    expect((await decoded(jobs[0]?.mask)).data).toEqual(boxMask(64, 64, [16, 16, 48, 48]).data);
    await page.getByRole('button', { name: 'Remove the picture' }).click();
    await page.getByLabel('Enlarge it and go over it again').waitFor();
    await page.getByRole('button', { name: 'Send to prompt' }).click();
    await page.getByText('25.0 % is masked.').waitFor();
    await page.getByRole('button', { name: 'Generate' }).click();
    await page.getByRole('img', { name: 'from a file' }).nth(1).waitFor();
    expect(jobs[1]).toEqual(jobs[0]);
  });

  it('takes a picture that is dropped, pasted, or in the gallery, at a size that suits the model', async () => {
    const { page, jobs } = await tester.open();
    await fillSmall(page, 'a first one');
    const side = (label: string): Promise<string> => page.getByLabel(label, { exact: true }).inputValue();
    await hand(page, 'h1', 'drop', await pngOf(scene(96, 72)));
    await page.getByRole('img', { name: 'What it begins with' }).waitFor();
    expect(await Promise.all(['Width', 'Height'].map(side))).toEqual(['96', '72']);
    await page.getByRole('button', { name: 'Remove the picture' }).click();
    await hand(page, 'textarea', 'paste', await pngOf(scene(1600, 2400)));
    await page.getByRole('img', { name: 'What it begins with' }).waitFor();
    // 512 x 512 pixels in the shape 2:3.
    expect(await Promise.all(['Width', 'Height'].map(side))).toEqual(['416', '624']);
    await page.getByRole('button', { name: 'Remove the picture' }).click();
    await fillSmall(page, 'a first one');
    await page.getByRole('button', { name: 'Generate' }).click();
    await sizeOf(page, 'a first one');
    await page.getByRole('button', { name: 'Send to img2img' }).click();
    await page.getByRole('img', { name: 'What it begins with' }).waitFor();
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Picture to begin with');
    await page.getByLabel('Prompt', { exact: true }).fill('a second one');
    await page.getByRole('button', { name: 'Generate' }).click();
    await sizeOf(page, 'a second one');
    const source = await page.getByRole('img', { name: 'a first one' }).getAttribute('src');
    expect(jobs[1]).toMatchObject({ init_images: [source], denoising_strength: 0.75 });
    expect(jobs[1]).not.toHaveProperty('mask');
    expect(jobs[1]).not.toHaveProperty('inpainting_fill');
  });

  it('says what is no picture', async () => {
    const { page } = await tester.open();
    await page.getByLabel(CHOOSE).setInputFiles(file(Buffer.from('not a picture')));
    expect(await page.getByRole('alert').textContent()).toBe('this is no picture that the browser can show');
    expect(await page.getByRole('img').count()).toBe(0);
  });
});
