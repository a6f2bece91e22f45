import type { RefObject } from 'preact';
import type { Choices } from './api';
import { ChoiceField, NumberField } from './fields';
import { HiresFields } from './hires-fields';
import type { Asked, Settings } from './settings';
import { StartFields } from './start-fields';

interface Props {
  readonly asked: Asked;
  readonly choices: Choices;
  readonly busy: boolean;
  readonly prompt: RefObject<HTMLTextAreaElement | null>;
  readonly startHeading: RefObject<HTMLElement | null>;
  readonly onChange: (asked: Asked) => void;
  readonly onPicture: (file: Blob) => void;
  readonly onProblem: (problem: string) => void;
  readonly onSubmit: () => void;
}

type NumberName = 'steps' | 'cfg_scale' | 'width' | 'height' | 'seed' | 'batch_size';

const NUMBERS: readonly (readonly [NumberName, string, { min: number; max?: number; step: number }])[] = [
  ['steps', 'Steps', { min: 1, max: 150, step: 1 }],
  ['cfg_scale', 'CFG scale', { min: 1, max: 30, step: 0.1 }],
  ['width', 'Width', { min: 64, max: 2048, step: 8 }],
  ['height', 'Height', { min: 64, max: 2048, step: 8 }],
  ['seed', 'Seed (-1 = random)', { min: -1, step: 1 }],
  ['batch_size', 'Pictures', { min: 1, max: 8, step: 1 }],
];

const pairs = (names: readonly string[]) => names.map((name) => [name, name] as const);

export function SettingsForm(props: Props) {
  const { asked, choices, busy, prompt, onChange, onSubmit } = props;
  const { settings } = asked;
  const set = (field: keyof Settings, value: string | number): void =>
    onChange({ ...asked, settings: { ...settings, [field]: value } });
  const text = (field: 'prompt' | 'negative_prompt', title: string, rows: number) => (
    <label class="wide">
      {title}
      <textarea
        ref={field === 'prompt' ? prompt : null}
        rows={rows}
        value={settings[field]}
        onInput={({ currentTarget }) => set(field, currentTarget.value)}
      />
    </label>
  );
  return (
    <form
      onKeyDown={(event) => {
        if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
        event.preventDefault();
        event.currentTarget.requestSubmit();
      }}
      onSubmit={(event) => {
        event.preventDefault();
        onSubmit();
      }}
    >
      {text('prompt', 'Prompt', 3)}
      {text('negative_prompt', 'Negative prompt', 2)}
      <ChoiceField
        title="Sampler"
        value={settings.sampler_name}
        choices={pairs(choices.samplers)}
        onChange={(name) => set('sampler_name', name)}
      />
      <ChoiceField
        title="Schedule"
        value={settings.scheduler}
        choices={pairs(choices.schedulers)}
        onChange={(name) => set('scheduler', name)}
      />
      {NUMBERS.map(([field, title, range]) => (
        <NumberField
          key={field}
          title={title}
          value={settings[field]}
          {...range}
          onChange={(value) => set(field, value)}
        />
      ))}
      <StartFields
        start={asked.start}
        settings={asked.startSettings}
        heading={props.startHeading}
        onChange={(startSettings) => onChange({ ...asked, startSettings })}
        onMask={(start, mask) => onChange({ ...asked, start: { ...start, mask } })}
        onPicture={props.onPicture}
        onRemove={() => onChange({ ...asked, start: undefined })}
        onProblem={props.onProblem}
      />
      {asked.start === undefined && (
        <HiresFields
          hires={asked.hires}
          size={settings}
          upscalers={choices.upscalers}
          onChange={(hires) => onChange({ ...asked, hires })}
        />
      )}
      <button type="submit" class="wide" disabled={busy}>
        Generate (Ctrl+Enter)
      </button>
    </form>
  );
}
