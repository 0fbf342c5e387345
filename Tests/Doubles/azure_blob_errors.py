"""Azure Storage's error answers: status, code and words as "Status and error codes" (Blob Storage REST API) lists them."""
from xml.sax.saxutils import escape

# code: (status, message)
KNOWN = {
    "AuthenticationFailed": (403, "Server failed to authenticate the request. Make sure the value of Authorization header"
                                  " is formed correctly including the signature."),
    "AuthorizationFailure": (403, "This request is not authorized to perform this operation."),
    "AuthorizationPermissionMismatch": (403, "This request is not authorized to perform this operation using this"
                                             " permission."),
    "AuthorizationProtocolMismatch": (403, "This request is not authorized to perform this operation using this"
                                           " protocol."),
    "AuthorizationResourceTypeMismatch": (403, "This request is not authorized to perform this operation using this"
                                               " resource type."),
    "AuthorizationServiceMismatch": (403, "This request is not authorized to perform this operation using this service."),
    "AuthorizationSourceIPMismatch": (403, "This request is not authorized to perform this operation using this source"
                                           " IP."),
    "BlobAlreadyExists": (409, "The specified blob already exists."),
    "BlobArchived": (409, "This operation is not permitted on an archived blob."),
    "BlobBeingRehydrated": (409, "This operation is not permitted because the blob is being rehydrated."),
    "BlobNotFound": (404, "The specified blob does not exist."),
    "ConditionNotMet": (412, "The condition specified using HTTP conditional header(s) is not met."),
    "ContainerAlreadyExists": (409, "The specified container already exists."),
    "ContainerNotFound": (404, "The specified container does not exist."),
    "Crc64Mismatch": (400, "The CRC64 value specified in the request did not match with the CRC64 value calculated by the"
                           " server."),
    "InvalidBlobTier": (400, "The specified blob tier is invalid."),
    "InvalidBlockList": (400, "The specified block list is invalid."),
    "InvalidBlobOrBlock": (400, "The specified blob or block content is invalid."),
    "InvalidHeaderValue": (400, "The value for one of the HTTP headers is not in the correct format."),
    "InvalidMd5": (400, "The MD5 value specified in the request is invalid. MD5 value must be 128 bits and base64"
                        " encoded."),
    "InvalidQueryParameterValue": (400, "Value for one of the query parameters specified in the request URI is invalid."),
    "InvalidRange": (416, "The range specified is invalid for the current size of the resource."),
    "InvalidResourceName": (400, "The specifed resource name contains invalid characters."),
    "InvalidUri": (400, "The requested URI does not represent any resource on the server."),
    "InvalidXmlDocument": (400, "XML specified is not syntactically valid."),
    "Md5Mismatch": (400, "The MD5 value specified in the request did not match with the MD5 value calculated by the"
                         " server."),
    "MissingContentLengthHeader": (411, "Content-Length HTTP header is missing."),
    "MissingRequiredHeader": (400, "An HTTP header that's mandatory for this request is not specified."),
    "NoAuthenticationInformation": (401, "Server failed to authenticate the request. Please refer to the information in"
                                         " the www-authenticate header."),
    "OperationNotAllowedOnRootBlob": (400, "The requested operation is not allowed, as it would delete the current"
                                           " version."),
    "OutOfRangeInput": (400, "One of the request inputs is out of range."),
    "RequestBodyTooLarge": (413, "The request body is too large and exceeds the maximum permissible limit."),
    "ResourceNotFound": (404, "The specified resource does not exist."),
    "UnsupportedHeader": (400, "One of the HTTP headers specified in the request is not supported."),
    "UnsupportedHttpVerb": (405, "The resource doesn't support specified Http Verb."),
}


class StorageError(Exception):
    """An answer other than success. `detail` becomes AuthenticationErrorDetail, which says what was wrong exactly."""

    def __init__(self, code: str, detail: str = "", status: int | None = None):
        super().__init__(code)
        self.code = code
        self.detail = detail
        known, self.message = KNOWN[code]
        self.status = status or known

    def body(self, request_id: str, time: str) -> bytes:
        detail = f"<AuthenticationErrorDetail>{escape(self.detail)}</AuthenticationErrorDetail>" if self.detail else ""
        message = f"{self.message}\nRequestId:{request_id}\nTime:{time}"
        return (f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{self.code}</Code><Message>{escape(message)}</Message>'
                f"{detail}</Error>").encode()
