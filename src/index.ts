/** The library: everything else is internal and may change. */
export type { Options, OptionsInput, OptionsSnapshot } from './context/options.js';
export { OptionStore } from './context/options.js';
export type { RunOutcome, RunPhase, RunStateView } from './context/run-state.js';
export type { CommandOptions, OpenModel, ResolvedDevice, RuntimeContext } from './context/runtime-context.js';
export { VERSION } from './context/version.js';
export { EXTENSION_API_VERSION, type Extension, HOOK_NAMES, type HookName } from './extensions/hooks.js';
export { ExtensionRegistry } from './extensions/registry.js';
export type { GeneratedImage } from './pipeline/execute.js';
export { type GenerationPlan, hashPlan, parsePlan } from './pipeline/plan.js';
export { FailureError, UsageError } from './request/errors.js';
export {
  type ImageToImageInput,
  type ImageToImageRequest,
  imageToImageSchema,
  type PictureInput,
  type PixelInput,
} from './request/img2img.js';
export { type TextToImageInput, type TextToImageRequest, textToImageSchema } from './request/txt2img.js';
export { type Destination, FileSink } from './runtime/file-sink.js';
export type { DescribedImage, FinishedImage, GenerationResult } from './runtime/finalize.js';
export { encodeImage, type GenerateEvent, type GenerateSettings, generate } from './runtime/generate.js';
export {
  CachedModelProvider,
  type ModelProvider,
  type ModelRequest,
  type ProviderOptions,
} from './runtime/model-provider.js';
export type { EncodedPicture, PictureSink, SavedPictures } from './runtime/picture-sink.js';
export type { PreparedRun } from './runtime/prepare.js';
export { ProcessingRunner, type RunEvent, type RunnerParts, type RunSettings } from './runtime/processing-runner.js';
