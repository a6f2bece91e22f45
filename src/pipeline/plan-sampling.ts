import { z } from 'zod';
import { LIMITS, UNIPC_VARIANTS } from '../request/limits.js';

/** A number that float32 holds exactly: what is written is what the engine receives. */
export const float32 = z
  .number()
  .refine((value) => Object.is(Math.fround(value), value), { error: 'not a float32 value' });
const tokenId = z.number().int().min(0).max(0x7fffffff);
export const side = z.number().int().min(1).max(LIMITS.side.max);

/** One window of the text tower: token ids with BOS, EOS and fill, and the weight of each. */
const chunkSchema = z
  .strictObject({ tokens: z.array(tokenId), weights: z.array(float32) })
  .refine((chunk) => chunk.tokens.length === chunk.weights.length, { error: 'as many weights as tokens are needed' });

const textSchema = z.strictObject({
  text: z.string(),
  chunks: z.array(chunkSchema).min(1).max(LIMITS.promptChunks),
});

/** One of the prompts that AND joins: its distinct texts, and which of them holds up to and with model call `until`. */
export const partSchema = z
  .strictObject({
    /** In the guidance: D = Du + Σ weight·cfgScale·(Dc − Du). */
    weight: z.number(),
    texts: z.array(textSchema).min(1).max(LIMITS.promptWindows),
    stages: z
      .array(z.strictObject({ until: z.number().int().min(0), text: z.number().int().min(0) }))
      .min(1)
      .max(2 * LIMITS.steps.max + 1),
  })
  .refine(({ texts }) => texts.every(({ chunks }) => chunks.length === texts[0]?.chunks.length), {
    error: 'all texts of a part need as many chunks',
  })
  .refine(({ texts, stages }) => stages.every(({ text }) => text < texts.length), {
    error: 'a stage names a text that is not there',
  });

export const samplerSchema = z.strictObject({
  /** The native engine's id. */
  id: z.string(),
  name: z.string(),
  /** The schedule that was used, and what a picture's parameters call it; null where they do not name one. */
  scheduler: z.string(),
  schedulerLabel: z.string().nullable(),
  /** Settings of the schedule that had an effect, by their names in a picture's parameters. */
  schedulerNotes: z.array(z.tuple([z.string(), z.union([z.number(), z.boolean(), z.string()])])),
  eta: z.number(),
  sChurn: z.number(),
  sTmin: z.number(),
  sTmax: z.number(),
  sNoise: z.number(),
  unipcVariant: z.enum(UNIPC_VARIANTS),
  unipcOrder: z.number().int().min(1).max(3),
});

/** How a picture is cut for the VAE, in latent cells. */
export const tilingSchema = z.union([z.literal('none'), z.strictObject({ tile: side, overlap: side })]);

/** What a pass of sampling goes by: prompts, guidance, the sampler and its way. */
export const samplingShape = {
  prompt: z.strictObject({ text: z.string(), parts: z.array(partSchema).min(1).max(LIMITS.promptParts) }),
  /** Its part is null when it is never evaluated (one part, and weight times cfgScale exactly 1). */
  negativePrompt: z.strictObject({ text: z.string(), part: partSchema.nullable() }),
  cfgScale: z.number().min(LIMITS.cfgScale.min).max(LIMITS.cfgScale.max),
  sampler: samplerSchema,
  steps: z.number().int().min(LIMITS.steps.min).max(LIMITS.steps.max),
  sigmas: z
    .array(float32.min(0))
    .min(2)
    .max(LIMITS.steps.max + 4),
  /** Of a sampler that walks timesteps, whose sigmas are then only told; else null. */
  timesteps: z.array(float32.min(0)).nullable(),
  wholeTimesteps: z.boolean(),
} as const;

export type PlanPart = Readonly<z.output<typeof partSchema>>;
