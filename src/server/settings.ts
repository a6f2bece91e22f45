import type { CommandOptions } from '../context/runtime-context.js';

/** What a server may be asked for, at most. */
export interface ServerLimits {
  /** Bytes of a request's body. */
  readonly bodyBytes: number;
  /** Pixels of one picture: asked for, given as base64, or resized to. */
  readonly pixels: number;
  readonly steps: number;
  /** Pictures of one request: batch_size times n_iter. */
  readonly images: number;
  /** Jobs that wait or run. */
  readonly queue: number;
}

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** How a server is started; the same until it ends. */
export interface ServerSettings {
  readonly commandOptions: CommandOptions;
  readonly limits: ServerLimits;
  /** Where `save_images` writes; nothing is written anywhere else. */
  readonly outputFolder: string;
  /** Who may come in; without any everybody who reaches the port. */
  readonly credentials: readonly Credentials[];
  /** Names besides addresses and localhost under which the server may be called (Host headers). */
  readonly allowedHosts: readonly string[];
  /** Whether pictures may be given as http(s) URLs of public hosts. */
  readonly allowUrlImages: boolean;
  /** Every flag by name, as `cmd-flags` shows them; no secret is in it. */
  readonly flags: Readonly<Record<string, unknown>>;
  /** Pictures come from no network but a stand-in. */
  readonly fakeInference: boolean;
}
