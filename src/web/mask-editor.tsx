import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { CheckField, NumberField } from './fields';
import { layerScale, MaskLayer, type Point } from './mask-layer';
import { imageOf, PICTURE_TYPES, readPictureFile } from './picture-file';
import type { StartPicture } from './settings';

interface Props {
  /** With the mask that it has at the start; later ones are this editor's own. */
  readonly picture: StartPicture;
  readonly onMask: (mask: string | undefined) => void;
  readonly onProblem: (problem: string) => void;
}

const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Of a brush whose size is being typed, too. */
const widthOf = (size: number): number => (Number.isNaN(size) ? 1 : Math.max(1, size));

interface Brush {
  readonly size: number;
  readonly erases: boolean;
  /** Where it was last. */
  readonly place: Point;
  /** Whether the keyboard leads it: then it is shown. */
  readonly isShown: boolean;
  /** Whether it draws while keys move it. */
  readonly isDown: boolean;
}

/** The layer over the picture, half transparent, with the brush where the keyboard has it. */
function paint(onto: HTMLCanvasElement, layer: MaskLayer, { place, size, isShown, isDown }: Brush): void {
  const context = onto.getContext('2d');
  if (context === null) return;
  context.clearRect(0, 0, onto.width, onto.height);
  context.globalAlpha = 0.65;
  context.drawImage(layer.canvas, 0, 0);
  context.globalAlpha = 1;
  // White is hard to see on many a picture.
  context.globalCompositeOperation = 'source-in';
  context.fillStyle = '#f0f';
  context.fillRect(0, 0, onto.width, onto.height);
  context.globalCompositeOperation = 'source-over';
  if (!isShown) return;
  const thin = Math.max(1, onto.width / 300);
  for (const [colour, width] of [
    ['#000', 3 * thin],
    [isDown ? '#f40' : '#fff', thin],
  ] as const) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    context.arc(place.x, place.y, widthOf(size) / 2, 0, 2 * Math.PI);
    context.stroke();
  }
}

/** What is to be made anew, drawn over the picture by pointer or by keys, or taken from a file. */
export function MaskEditor({ picture, onMask, onProblem }: Props) {
  const scale = layerScale(picture);
  const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, Math.round(side / scale))) as [
    number,
    number,
  ];
  const [layer] = useState(() => new MaskLayer(width, height));
  const [share, setShare] = useState(0);
  const [brush, setBrush] = useState<Brush>(() => ({
    size: Math.max(4, Math.round(Math.min(width, height) / 8)),
    erases: false,
    place: { x: width / 2, y: height / 2 },
    isShown: false,
    isDown: false,
  }));
  const change = (part: Partial<Brush>): void => setBrush((before) => ({ ...before, ...part }));
  const canvas = useRef<HTMLCanvasElement>(null);
  const help = useId();

  const show = (): void => {
    if (canvas.current !== null) paint(canvas.current, layer, brush);
  };
  useEffect(show);

  /** The layer has changed for good: after a stroke, not within it. */
  const tell = (): void => {
    const masked = layer.share();
    setShare(masked);
    onMask(masked === 0 ? undefined : layer.toPicture());
    show();
  };
  const take = (source: string, isNew: boolean): Promise<void> =>
    imageOf(source).then(
      (image) => {
        layer.take(image);
        if (isNew) tell();
        else setShare(layer.share());
      },
      (error: Error) => onProblem(error.message),
    );
  useEffect(() => {
    if (picture.mask !== undefined) void take(picture.mask, false);
  }, []);

  const begin = (point: Point): void =>
    layer.begin({ erases: brush.erases, size: widthOf(brush.size), points: [point] });
  const placeOf = ({
    currentTarget,
    offsetX,
    offsetY,
  }: PointerEvent & { currentTarget: HTMLCanvasElement }): Point => ({
    x: (offsetX * width) / currentTarget.clientWidth,
    y: (offsetY * height) / currentTarget.clientHeight,
  });
  const undo = (): void => {
    layer.undo();
    change({ isDown: false });
    tell();
  };
  const lift = (): void => {
    if (brush.isDown) tell();
    change({ isDown: false });
  };
  const move = ([x, y]: readonly [number, number], far: boolean): void => {
    const step = Math.max(1, widthOf(brush.size) / 4) * (far ? 8 : 1);
    const within = (to: number, most: number): number => Math.min(most, Math.max(0, to));
    const place = { x: within(brush.place.x + x * step, width), y: within(brush.place.y + y * step, height) };
    change({ place, isShown: true });
    if (brush.isDown) layer.extend(place);
  };
  const putDown = (): void => {
    begin(brush.place);
    change({ isDown: true, isShown: true });
  };
  const onKey = (event: KeyboardEvent): void => {
    const arrow = ARROWS[event.key];
    if (event.key === 'z' && (event.ctrlKey || event.metaKey)) undo();
    else if (event.ctrlKey || event.metaKey || event.altKey) {
      if (event.key === 'Enter') lift();
      return;
    } else if (arrow !== undefined) move(arrow, event.shiftKey);
    else if (event.key === ' ') brush.isDown ? lift() : putDown();
    else if (event.key === 'Escape') lift();
    else if (event.key === 'e') change({ erases: !brush.erases });
    else if (event.key === '+' || event.key === '-') {
      change({ size: Math.max(1, Math.round(widthOf(brush.size) * (event.key === '+' ? 1.25 : 0.8))) });
    } else return;
    event.preventDefault();
  };

  return (
    <div class="mask">
      <div
        class="sheet"
        role="application"
        aria-roledescription="drawing"
        aria-label="Mask"
        aria-describedby={help}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it is drawn on by keys, as its role says
        tabIndex={0}
        onKeyDown={onKey}
        onFocus={({ currentTarget }) => {
          if (currentTarget.matches(':focus-visible')) change({ isShown: true });
        }}
        onBlur={() => {
          lift();
          change({ isShown: false });
        }}
      >
        <img src={picture.source} alt="What it begins with" />
        <canvas
          ref={canvas}
          width={width}
          height={height}
          onPointerDown={(event) => {
            if (event.button !== 0) return;
            lift();
            change({ isShown: false });
            event.currentTarget.setPointerCapture(event.pointerId);
            begin(placeOf(event));
            show();
          }}
          onPointerMove={(event) => {
            if (!event.currentTarget.hasPointerCapture(event.pointerId)) return;
            layer.extend(placeOf(event));
            show();
          }}
          onLostPointerCapture={(event) => {
            change({ place: placeOf(event) });
            tell();
          }}
        />
      </div>
      <p id={help} class="note">
        Draw on the picture what is to be made anew. By keys: arrows move the brush (with Shift far), Space puts it down
        and lifts it, E erases, + and - change its size, Ctrl+Z takes back.
      </p>
      <p aria-live="polite">
        {share === 0 ? 'No mask: the whole picture is gone over.' : `${(100 * share).toFixed(1)} % is masked.`}
        {brush.isDown ? ' The brush is down.' : ''}
      </p>
      <div class="fields">
        <NumberField
          title="Brush in pixels"
          value={brush.size}
          min={1}
          max={2048}
          step={1}
          onChange={(size) => change({ size })}
        />
        <CheckField title="Erase" checked={brush.erases} onChange={(erases) => change({ erases })} />
        <button type="button" disabled={!layer.canUndo} onClick={undo}>
          Take back
        </button>
        <button
          type="button"
          disabled={!layer.canUndo}
          onClick={() => {
            layer.clear();
            tell();
          }}
        >
          Clear the mask
        </button>
        <label>
          Mask from a file
          <input
            type="file"
            accept={PICTURE_TYPES}
            onChange={async ({ currentTarget }) => {
              const file = currentTarget.files?.[0];
              currentTarget.value = '';
              if (file === undefined) return;
              try {
                await take((await readPictureFile(file)).source, true);
              } catch (error) {
                onProblem(error instanceof Error ? error.message : String(error));
              }
            }}
          />
        </label>
      </div>
    </div>
  );
}
