import type { RefObject } from 'preact';
import type { Choices, Settings } from './api';

interface Props {
  readonly settings: Settings;
  readonly choices: Choices | undefined;
  readonly busy: boolean;
  readonly prompt: RefObject<HTMLTextAreaElement | null>;
  readonly onChange: (settings: Settings) => void;
  readonly onSubmit: () => void;
}

type NumberField = 'steps' | 'cfg_scale' | 'width' | 'height' | 'seed' | 'batch_size';

const NUMBERS: readonly (readonly [NumberField, string, { min: number; max?: number; step: number }])[] = [
  ['steps', 'Steps', { min: 1, max: 150, step: 1 }],
  ['cfg_scale', 'CFG scale', { min: 1, max: 30, step: 0.5 }],
  ['width', 'Width', { min: 64, max: 2048, step: 8 }],
  ['height', 'Height', { min: 64, max: 2048, step: 8 }],
  ['seed', 'Seed (-1 = random)', { min: -1, step: 1 }],
  ['batch_size', 'Pictures', { min: 1, max: 8, step: 1 }],
];

export function SettingsForm({ settings, choices, busy, prompt, onChange, onSubmit }: Props) {
  const set = (field: keyof Settings, value: string | number): void => onChange({ ...settings, [field]: value });
  const submitOnCtrlEnter = (event: KeyboardEvent): void => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) onSubmit();
  };
  // A choice stands beside its label, not in it: a label's name is all its text, the choices' too.
  const choice = (field: 'sampler_name' | 'scheduler', title: string, names: readonly string[]) => (
    <div class="field">
      <label for={field}>{title}</label>
      <select id={field} value={settings[field]} onChange={({ currentTarget }) => set(field, currentTarget.value)}>
        {(names.length > 0 ? names : [settings[field]]).map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </div>
  );
  const text = (field: 'prompt' | 'negative_prompt', title: string, rows: number) => (
    <label class="wide">
      {title}
      <textarea
        ref={field === 'prompt' ? prompt : null}
        rows={rows}
        value={settings[field]}
        onInput={({ currentTarget }) => set(field, currentTarget.value)}
        onKeyDown={submitOnCtrlEnter}
      />
    </label>
  );
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        onSubmit();
      }}
    >
      {text('prompt', 'Prompt', 3)}
      {text('negative_prompt', 'Negative prompt', 2)}
      {choice('sampler_name', 'Sampler', choices?.samplers ?? [])}
      {choice('scheduler', 'Schedule', choices?.schedulers ?? [])}
      {NUMBERS.map(([field, title, range]) => (
        <label key={field}>
          {title}
          <input
            type="number"
            required
            {...range}
            value={settings[field]}
            onInput={({ currentTarget }) => set(field, currentTarget.valueAsNumber)}
          />
        </label>
      ))}
      <button type="submit" class="wide" disabled={busy}>
        Generate (Ctrl+Enter)
      </button>
    </form>
  );
}
