import { z } from 'zod';
import { UNIPC_VARIANTS } from './limits.js';
import { textToImageSchema } from './txt2img.js';

const file = () => z.string().min(1).describe('a .safetensors file');

export const EVAL_PARTS = ['text', 'unet', 'vae-decode', 'vae-encode', 'sampler'] as const;
export const COMPARE_PARTS = ['text', 'unet', 'vae-decode', 'vae-encode'] as const;

const { eta, sChurn, sTmin, sTmax, sNoise } = textToImageSchema.shape;

export const evalSchema = z.strictObject({
  part: z.enum(EVAL_PARTS).describe(`one of ${EVAL_PARTS.join(', ')}`),
  inputs: file(),
  output: file(),
  inner: z.boolean().describe('true or false').default(false),
  sampler: z.string().describe("a sampler's name").optional(),
  schedule: z.string().min(1).describe('the name of a schedule in the file').optional(),
  startWithSignal: z.boolean().describe('true or false').default(false),
  eta,
  sChurn,
  sTmin,
  sTmax,
  sNoise,
  uniPcVariant: z
    .enum(UNIPC_VARIANTS)
    .describe(`one of ${UNIPC_VARIANTS.join(', ')}`)
    .optional(),
  uniPcOrder: z.number().int().min(1).max(3).describe('a whole number from 1 to 3').optional(),
});
export type EvalRequest = z.output<typeof evalSchema>;

export const compareSchema = z.strictObject({
  part: z
    .enum(COMPARE_PARTS)
    .describe(`one of ${COMPARE_PARTS.join(', ')}`)
    .default('unet'),
  inputs: file().optional(),
  devices: z.array(z.string().min(1)).length(2).describe('two devices joined by a comma').default(['reference', 'cpu']),
  tolerance: z.number().min(0).describe('a number of at least 0').optional(),
});
export type CompareRequest = z.output<typeof compareSchema>;
