from django.http import HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect
from django.urls import path
from django.views.decorators.csrf import csrf_exempt


def who(request):
    return JsonResponse({'url': request.build_absolute_uri(), 'address': request.META['REMOTE_ADDR']})


def old(request):
    return redirect(request.build_absolute_uri('/new'))


def form(request):
    return HttpResponse('accepted' if request.method == 'POST' else get_token(request))


@csrf_exempt
def upload(request):
    length = 0
    while part := request.read(65536):
        length += len(part)
    return HttpResponse(length)


urlpatterns = [path('who', who), path('old', old), path('form', form), path('upload', upload)]
