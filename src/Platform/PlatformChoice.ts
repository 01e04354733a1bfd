/** Which platform runs the guests: the fast one where the host allows it. */
import * as Layer from "effect/Layer"
import type { Platform, PlatformChoice, PlatformFailed } from "./Platform.ts"
import * as PtracePlatform from "./PtracePlatform.ts"
import * as SystrapPlatform from "./SystrapPlatform.ts"

/** The platform of that name. Starting it is the test: an address space with a thread in it is made before guests run. */
export const platformLayer = (
  choice: PlatformChoice,
  options: SystrapPlatform.Options = {}
): Layer.Layer<Platform, PlatformFailed> => {
  switch (choice) {
    case "auto":
      return Layer.catchTag(SystrapPlatform.layerWith(options), "PlatformFailed", () => PtracePlatform.layer)
    case "ptrace":
      return PtracePlatform.layer
    case "systrap":
      return SystrapPlatform.layerWith(options)
  }
}
