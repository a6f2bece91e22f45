import type { RefObject } from 'preact';
import { ChoiceField, NumberField } from './fields';
import { MaskEditor } from './mask-editor';
import { PICTURE_TYPES } from './picture-file';
import type { StartPicture, StartSettings } from './settings';

interface Props {
  readonly start: StartPicture | undefined;
  readonly settings: StartSettings;
  readonly heading: RefObject<HTMLElement | null>;
  readonly onChange: (settings: StartSettings) => void;
  readonly onMask: (start: StartPicture, mask: string | undefined) => void;
  readonly onPicture: (file: Blob) => void;
  readonly onRemove: () => void;
  readonly onProblem: (problem: string) => void;
}

type NumberName = 'denoising_strength' | 'mask_blur' | 'inpaint_full_res_padding';
type ChoiceName = 'resize_mode' | 'inpainting_fill' | 'inpainting_mask_invert';

/** By the server's numbers. */
const RESIZE_MODES = ['Stretch', 'Crop', 'Fill', 'Latent (no mask)'] as const;
const CONTENTS = ['Blurred surroundings', 'What is there', 'Noise', 'Nothing'] as const;
const INVERSIONS = ['What is masked', 'What is not masked'] as const;

const numbered = (names: readonly string[]) => names.map((name, i) => [String(i), name] as const);

/** A picture to begin with: chosen, dropped or pasted; how far it is given up, and where. */
export function StartFields({ start, settings, heading, onChange, onMask, onPicture, onRemove, onProblem }: Props) {
  const number = (name: NumberName, title: string, range: { min: number; max: number; step: number }) => (
    <NumberField
      title={title}
      value={settings[name]}
      {...range}
      onChange={(value) => onChange({ ...settings, [name]: value })}
    />
  );
  const choice = (name: ChoiceName, title: string, names: readonly string[]) => (
    <ChoiceField
      title={title}
      value={String(settings[name])}
      choices={numbered(names)}
      onChange={(value) => onChange({ ...settings, [name]: Number(value) })}
    />
  );
  return (
    <fieldset>
      <legend>
        <span ref={heading} tabIndex={-1}>
          Picture to begin with
        </span>
      </legend>
      <label>
        Choose, drop or paste one
        <input
          type="file"
          accept={PICTURE_TYPES}
          onChange={({ currentTarget }) => {
            const file = currentTarget.files?.[0];
            currentTarget.value = '';
            if (file !== undefined) onPicture(file);
          }}
        />
      </label>
      {start !== undefined && (
        <>
          <div class="fields">
            {number('denoising_strength', 'Denoising strength', { min: 0, max: 1, step: 0.01 })}
            {choice('resize_mode', 'Resize mode', start.mask === undefined ? RESIZE_MODES : RESIZE_MODES.slice(0, 3))}
            <button type="button" onClick={onRemove}>
              Remove the picture
            </button>
          </div>
          <MaskEditor key={start.key} picture={start} onMask={(mask) => onMask(start, mask)} onProblem={onProblem} />
          {start.mask !== undefined && (
            <div class="fields">
              {choice('inpainting_mask_invert', 'Make anew', INVERSIONS)}
              {choice('inpainting_fill', 'Begin there with', CONTENTS)}
              <ChoiceField
                title="Area"
                value={settings.inpaint_full_res ? 'masked' : 'whole'}
                choices={[
                  ['whole', 'Whole picture'],
                  ['masked', 'Only around the mask'],
                ]}
                onChange={(area) => onChange({ ...settings, inpaint_full_res: area === 'masked' })}
              />
              {settings.inpaint_full_res &&
                number('inpaint_full_res_padding', 'Padding in pixels', { min: 0, max: 256, step: 1 })}
              {number('mask_blur', 'Mask blur in pixels', { min: 0, max: 64, step: 1 })}
            </div>
          )}
        </>
      )}
    </fieldset>
  );
}
