import type { DecodedImage } from '../native/types.js';
import { warn } from './failure.js';
import type { Flags } from './flags.js';
import { type Io, type OutputStream, writeAll } from './io.js';

/** How a terminal takes a PNG in its text. */
type Protocol = 'iterm2' | 'kitty';

/** Konsole knows kitty's protocol from 22.04 on. */
const OLDEST_KONSOLE = 220400;
const KNOWN = 'iTerm2, WezTerm, mintty, kitty, Ghostty and Konsole';

/** What the environment says of the terminal; undefined where it names none that shows pictures. */
export function pictureProtocol(env: Io['env']): Protocol | undefined {
  const { TERM = '', TERM_PROGRAM = '', LC_TERMINAL, KITTY_WINDOW_ID, KONSOLE_VERSION } = env;
  if (['xterm-kitty', 'xterm-ghostty'].includes(TERM) || TERM_PROGRAM === 'ghostty') return 'kitty';
  if (['iTerm.app', 'WezTerm', 'mintty'].includes(TERM_PROGRAM) || LC_TERMINAL === 'iTerm2') return 'iterm2';
  if (KITTY_WINDOW_ID || Number(KONSOLE_VERSION) >= OLDEST_KONSOLE) return 'kitty';
  return undefined;
}

/** tmux and screen pass their own subset of sequences on. */
const isMultiplexed = (env: Io['env']): boolean => Boolean(env.TMUX) || /^(screen|tmux)/.test(env.TERM ?? '');

/** Characters of base64 that one of kitty's sequences may hold. */
const KITTY_CHUNK = 4096;

/** The characters that make a terminal show a PNG, and end its line. */
export function pictureSequence(png: Uint8Array, protocol: Protocol): string {
  const base64 = Buffer.from(png).toString('base64');
  if (protocol === 'iterm2') return `\u001b]1337;File=inline=1;size=${png.length}:${base64}\u0007\n`;
  const count = Math.ceil(base64.length / KITTY_CHUNK);
  const parts = Array.from({ length: count }, (_, i) => {
    const more = i < count - 1 ? 1 : 0;
    // f=100: PNG; a=T: show at once; q=2: no answer, which would land in the next command's input.
    const keys = i === 0 ? `f=100,a=T,q=2,m=${more}` : `m=${more}`;
    return `\u001b_G${keys};${base64.slice(i * KITTY_CHUNK, (i + 1) * KITTY_CHUNK)}\u001b\\`;
  });
  return `${parts.join('')}\n`;
}

/** A terminal that shows pictures. */
export interface Screen {
  show(png: Uint8Array): Promise<void>;
}

function reasonAgainst(stream: OutputStream | undefined, io: Io): string | undefined {
  if (stream === undefined) return 'neither standard output nor standard error is a terminal';
  if (isMultiplexed(io.env)) return 'tmux and screen keep pictures from the terminal';
  if (io.env.TERM === 'dumb' || pictureProtocol(io.env) === undefined) {
    return `this terminal is not known to show pictures; ${KNOWN} do`;
  }
  return undefined;
}

/**
 * Where `--show` shows: standard output, or standard error where that is no terminal or holds other things. Where
 * nothing can be shown a person who asked on the command line is told why; a setting that lasts is for terminals only.
 * @param isFree whether standard output may hold more than the result's own text
 */
export function openScreen(flags: Flags, io: Io, isFree: boolean): Screen | undefined {
  if (flags.values.show !== true) return undefined;
  const streams = isFree ? [io.stdout, io.stderr] : [io.stderr];
  const stream = streams.find((one) => one.isTTY === true);
  const reason = reasonAgainst(stream, io);
  if (reason !== undefined) {
    if (flags.origins.show === 'flag') warn(io, `--show shows nothing: ${reason}`);
    return undefined;
  }
  const protocol = pictureProtocol(io.env);
  if (stream === undefined || protocol === undefined) return undefined;
  return { show: (png) => writeAll(stream, pictureSequence(png, protocol)) };
}

/** Shows finished pixels. */
export async function showPixels(screen: Screen, { data, width, height }: DecodedImage): Promise<void> {
  const { encodePng } = await import('../image/codec.js');
  await screen.show(await encodePng(data, width, height));
}
