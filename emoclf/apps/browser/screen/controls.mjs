/** The row of controls below the stage, and the welcome that stands there before them. */
import { byId, setText } from "./elements.mjs";

/**
 * Show what can be done now.
 * @param {import("./texts.mjs").Words} words - The words.
 * @param {{mode: string, hasAnswer: boolean, isPaused: boolean, canFlip: boolean}} state - What is
 *   looked at, "none", "camera" or "photos"; whether there is an answer, so something to stop or
 *   to save; whether the camera stands still, and whether there are several.
 */
export function drawControls(words, { mode, hasAnswer, isPaused, canFlip }) {
  const hadFocus = document.activeElement?.closest("#welcome, #controls");
  const isCamera = mode === "camera";
  byId("page").dataset.mode = mode;
  byId("welcome").hidden = mode !== "none";
  byId("controls").hidden = mode === "none";
  byId("camera").setAttribute("aria-pressed", String(isCamera));
  byId("pace").hidden = !isCamera;
  byId("flip").hidden = !isCamera || !canFlip;
  byId("pause").disabled = !isCamera || !hasAnswer;
  byId("save-picture").disabled = !hasAnswer;
  const isStill = isCamera && isPaused;
  byId("pause-sign").setAttribute("href", isStill ? "#sign-resume" : "#sign-pause");
  setText(byId("pause-words"), words.say(isStill ? "resume" : "pause"));
  byId("frozen").hidden = !isStill;
  if (hadFocus) keepFocus(mode);
}

/** Let focus go on from what is gone to what stands for it now. */
function keepFocus(mode) {
  const { activeElement } = document;
  if (activeElement?.getClientRects().length && !activeElement.disabled) return;
  byId({ none: "welcome-camera", camera: "camera", photos: "photos" }[mode]).focus();
}
