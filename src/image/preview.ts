import type { DecodedImage, Latent } from '../native/types.js';

/**
 * Red, green and blue (−1 … 1) of one unit of each of the four channels that Stable Diffusion 1.x and 2.x paint in: a
 * least-squares fit over decoded pictures, published by keturn in Hugging Face's forum ("Decoding latents to RGB
 * without upscaling", 2022).
 */
const RGB_OF_CHANNEL: readonly (readonly [red: number, green: number, blue: number])[] = [
  [0.298, 0.207, 0.208],
  [0.187, 0.286, 0.173],
  [-0.158, 0.189, 0.264],
  [-0.184, -0.271, -0.473],
];

/**
 * What the pictures of a batch roughly look like, one pixel a latent cell: a product of each cell with a 4×3 matrix, so
 * a preview costs nothing beside a step.
 * @returns undefined for latents of another number of channels, whose colours are not known
 */
export function previewLatent(latent: Latent): DecodedImage[] | undefined {
  const { data, batch, channels, width, height } = latent;
  if (channels !== RGB_OF_CHANNEL.length) return undefined;
  const cells = width * height;
  return Array.from({ length: batch }, (_, image) => {
    const rgb = new Uint8Array(cells * 3);
    const start = image * channels * cells;
    for (let cell = 0; cell < cells; cell += 1) {
      for (let colour = 0; colour < 3; colour += 1) {
        let sum = 0;
        for (const [channel, factors] of RGB_OF_CHANNEL.entries()) {
          sum += (factors[colour] ?? 0) * (data[start + channel * cells + cell] ?? 0);
        }
        rgb[cell * 3 + colour] = Math.round(Math.min(1, Math.max(0, (sum + 1) / 2)) * 255);
      }
    }
    return { data: rgb, width, height };
  });
}
