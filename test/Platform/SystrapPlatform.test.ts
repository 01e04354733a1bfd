import { layer } from "../../src/Platform/SystrapPlatform.ts"
import { platformContract } from "./PlatformContract.ts"

platformContract("SystrapPlatform", layer)
