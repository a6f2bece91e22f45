import { UsageError } from '../request/errors.js';
import { didYouMean } from '../request/nearest.js';
import {
  DEPRECATED_HOOKS,
  EXTENSION_API_VERSION,
  type Extension,
  HOOK_NAMES,
  type HookName,
  LATENT_HOOKS,
  type LatentHookName,
  type Payloads,
} from './hooks.js';
import { FOLDS } from './replies.js';

type AnyHook = (payload: unknown) => unknown;

interface Registered {
  readonly name: string;
  readonly hooks: ReadonlyMap<HookName, AnyHook>;
}

const isHookName = (name: string): name is HookName => (HOOK_NAMES as readonly string[]).includes(name);

/** One line with a fixed beginning, which log filters look for. */
const DEPRECATED = 'deprecated:';

/** @throws UsageError saying what is wrong with what a module gave as an extension */
function checked(value: unknown, place: string): Extension {
  const fault = (what: string): UsageError => new UsageError(`${place} is not an extension: ${what}`);
  if (typeof value !== 'object' || value === null) throw fault('its default export must be {name, apiVersion, hooks}');
  const { name, apiVersion, hooks } = value as Partial<Record<keyof Extension, unknown>>;
  if (typeof name !== 'string' || !/^[a-z][\w.-]{0,63}$/i.test(name)) {
    throw fault('its name must be letters, digits, ".", "_" and "-", at most 64');
  }
  if (apiVersion !== EXTENSION_API_VERSION) {
    throw fault(
      `it is for version ${String(apiVersion)} of the extension API; this is version ${EXTENSION_API_VERSION}`,
    );
  }
  if (typeof hooks !== 'object' || hooks === null) throw fault('its hooks must be an object of functions');
  for (const [hook, call] of Object.entries(hooks)) {
    if (!isHookName(hook) && !Object.hasOwn(DEPRECATED_HOOKS, hook)) {
      throw fault(`there is no hook ${JSON.stringify(hook)}${didYouMean(hook, HOOK_NAMES)}`);
    }
    if (typeof call !== 'function') throw fault(`its hook ${hook} must be a function`);
  }
  return value as Extension;
}

/**
 * The extensions of a process, in the order in which they were registered. A hook that throws, or gives back what cannot
 * be used, is reported once and has no effect; the run goes on.
 */
export class ExtensionRegistry {
  readonly #extensions: Registered[] = [];
  readonly #report: (message: string) => void;
  readonly #told = new Set<string>();

  /** @param report gets a line for people when a hook fails or an old name is used; each once */
  constructor(report: (message: string) => void) {
    this.#report = report;
  }

  /** @throws UsageError for what is no extension of this version, and for a name that is taken */
  register(value: unknown, place = 'the object'): void {
    const { name, hooks } = checked(value, place);
    if (this.#extensions.some((other) => other.name === name)) {
      throw new UsageError(`${place}: an extension named ${name} is there already`);
    }
    const own = new Map<HookName, AnyHook>();
    for (const [hook, call] of Object.entries(hooks)) {
      const now = DEPRECATED_HOOKS[hook] ?? (hook as HookName);
      if (own.has(now)) throw new UsageError(`${place} has the hook ${now} twice`);
      if (now !== hook) this.#tellOnce(`${DEPRECATED} the hook ${hook} of extension ${name} is now called ${now}`);
      own.set(now, call as AnyHook);
    }
    this.#extensions.push({ name, hooks: own });
  }

  /** Names, in order. */
  get names(): readonly string[] {
    return this.#extensions.map(({ name }) => name);
  }

  /** Names of those with a hook that may change pixels. */
  get changing(): readonly string[] {
    const changes = ['before_process', ...LATENT_HOOKS, 'before_image_saved'] as const;
    return this.#extensions.filter(({ hooks }) => changes.some((hook) => hooks.has(hook))).map(({ name }) => name);
  }

  /** Whether any extension listens: where none does, payloads need not be made. */
  has(hook: HookName): boolean {
    return this.#extensions.some(({ hooks }) => hooks.has(hook));
  }

  /** The hooks of the sampling loop that someone listens to. */
  latentHooks(): LatentHookName[] {
    return LATENT_HOOKS.filter((hook) => this.has(hook));
  }

  /** Calls every extension in turn; each sees what those before it made of the payload. */
  call<K extends HookName>(hook: K, payload: Payloads[K]): Payloads[K] {
    let current = payload;
    for (const { name, hooks } of this.#extensions) {
      const listener = hooks.get(hook);
      if (listener === undefined) continue;
      try {
        const reply = listener(current);
        if (reply instanceof Promise) {
          reply.catch(() => undefined); // reported below, once
          throw new TypeError('a hook may not be asynchronous');
        }
        if (reply !== undefined) current = FOLDS[hook](current, reply as never);
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        this.#tellOnce(`extension ${name} failed in ${hook}, which has no effect: ${why}`);
      }
    }
    return current;
  }

  #tellOnce(message: string): void {
    if (this.#told.has(message)) return;
    this.#told.add(message);
    this.#report(message);
  }
}
