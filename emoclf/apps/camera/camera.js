// Takes photos with the browser's camera. The promise always resolves, with
// {photos: [data URL, ...], reason: "", detail: ""}; without photos, reason says why:
// "unsupported", "denied", "no-camera", "busy", "cancelled", "timeout" or "error".
async function takeEmoclfPhotos({count, intervalMs, timeoutMs, consent}, parent) {
  const fail = (reason, detail = "") => ({photos: [], reason, detail: String(detail)});
  if (!navigator.mediaDevices || !navigator.mediaDevices.getUserMedia) {
    return fail("unsupported");
  }
  if (document.featurePolicy && !document.featurePolicy.allowsFeature("camera")) {
    return fail("unsupported", "frame policy");
  }
  const reasons = {
    NotAllowedError: "denied", SecurityError: "denied", NotFoundError: "no-camera",
    OverconstrainedError: "no-camera", NotReadableError: "busy", AbortError: "busy",
  };
  const late = Symbol("late");
  let timer = null;
  const deadline = new Promise((resolve) => { timer = setTimeout(resolve, timeoutMs, late); });
  const stop = (stream) => stream.getTracks().forEach((track) => track.stop());
  const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

  const box = document.createElement("div");
  const words = document.createElement("p");
  const video = document.createElement("video");
  const take = document.createElement("button");
  const cancel = document.createElement("button");
  words.textContent = consent;
  video.muted = true;
  video.playsInline = true;
  video.setAttribute("aria-label", "What your camera sees");
  video.style.cssText = "display: block; max-width: min(100%, 480px); margin-bottom: 8px";
  take.textContent = count > 1 ? `Take ${count} photos` : "Take the photo";
  cancel.textContent = "Cancel";
  take.style.marginRight = "8px";
  box.append(words, video, take, cancel);

  let stream = null;
  try {
    parent.append(box);
    const asked = navigator.mediaDevices.getUserMedia({
      video: {width: {ideal: 640}, height: {ideal: 480}, facingMode: "user"},
    });
    const given = await Promise.race([asked, deadline]);
    if (given === late) {
      asked.then(stop, () => {});  // a permission that comes too late opens no camera
      return fail("timeout", "permission");
    }
    stream = given;
    video.srcObject = stream;
    if (await Promise.race([video.play(), deadline]) === late) {
      return fail("timeout", "picture");
    }
    const pressed = new Promise((resolve) => {
      take.addEventListener("click", () => resolve("take"));
      cancel.addEventListener("click", () => resolve("cancel"));
    });
    take.focus();
    const choice = await Promise.race([pressed, deadline]);
    if (choice !== "take") {
      return choice === late ? fail("timeout", "button") : fail("cancelled");
    }
    take.disabled = true;
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    const photos = [];
    for (let number = 0; number < count; number += 1) {
      if (number > 0) {
        await wait(intervalMs);
      }
      canvas.getContext("2d").drawImage(video, 0, 0);
      photos.push(canvas.toDataURL("image/jpeg", 0.92));
    }
    return {photos, reason: "", detail: ""};
  } catch (error) {
    return fail(reasons[error.name] || "error", `${error.name}: ${error.message}`);
  } finally {
    clearTimeout(timer);
    if (stream) {
      stop(stream);
    }
    box.remove();
  }
}
