import { CheckField, ChoiceField, NumberField } from './fields';
import type { Hires } from './settings';

interface Props {
  readonly hires: Hires;
  /** Of the first pass, in pixels. */
  readonly size: { readonly width: number; readonly height: number };
  readonly upscalers: readonly string[];
  readonly onChange: (hires: Hires) => void;
}

/** What the second pass makes of a side: as the server reckons it, whole cells of the latent. */
const enlarged = (side: number, scale: number): number => {
  const pixels = Math.trunc(side * scale);
  return pixels - (pixels % 8);
};

/** The second pass: the picture enlarged and gone over again. */
export function HiresFields({ hires, size, upscalers, onChange }: Props) {
  const set = (part: Partial<Hires>): void => onChange({ ...hires, ...part });
  const result = [size.width, size.height].map((side) => enlarged(side, hires.hr_scale));
  return (
    <fieldset>
      <legend>Second pass</legend>
      <CheckField
        title="Enlarge it and go over it again (hires fix)"
        checked={hires.enable_hr}
        onChange={(enable_hr) => set({ enable_hr })}
      />
      {hires.enable_hr && (
        <div class="fields">
          <NumberField
            title="Scale"
            value={hires.hr_scale}
            min={1}
            max={4}
            step={0.05}
            onChange={(hr_scale) => set({ hr_scale })}
          />
          <NumberField
            title="Steps (0 = as before)"
            value={hires.hr_second_pass_steps}
            min={0}
            max={150}
            step={1}
            onChange={(hr_second_pass_steps) => set({ hr_second_pass_steps })}
          />
          <ChoiceField
            title="Upscaler"
            value={hires.hr_upscaler}
            choices={upscalers.map((name) => [name, name])}
            onChange={(hr_upscaler) => set({ hr_upscaler })}
          />
          <NumberField
            title="Denoising strength"
            value={hires.denoising_strength}
            min={0.01}
            max={1}
            step={0.01}
            onChange={(denoising_strength) => set({ denoising_strength })}
          />
          <p class="note wide">
            {result.some(Number.isNaN) ? '' : `The picture will have ${result.join('×')} pixels.`}
          </p>
        </div>
      )}
    </fieldset>
  );
}
